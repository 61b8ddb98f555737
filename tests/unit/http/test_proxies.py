"""HTTPS_PROXY, HTTP_PROXY and NO_PROXY."""

from __future__ import annotations

import httpx
import pytest

from crmflow.environment import SettingError
from crmflow.http.proxies import ProxySettings


def proxy_for(url: str, **environ: str) -> str | None:
    return ProxySettings.from_environment(environ).proxy_for(httpx.URL(url))


def test_each_scheme_has_its_proxy() -> None:
    environ = {"HTTPS_PROXY": "http://secure:1", "HTTP_PROXY": "http://plain:2"}
    assert proxy_for("https://a.com", **environ) == "http://secure:1"
    assert proxy_for("http://a.com", **environ) == "http://plain:2"
    assert proxy_for("http://a.com", HTTPS_PROXY="http://secure:1") is None
    assert proxy_for("https://a.com") is None


def test_lower_case_wins_and_blank_is_nothing() -> None:
    assert (
        proxy_for("https://a.com", HTTPS_PROXY="http://upper", https_proxy="http://lower") == "http://lower"
    )
    assert proxy_for("https://a.com", HTTPS_PROXY="  ") is None


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("*", "https://a.com", True),
        ("a.com", "https://a.com", True),
        ("A.COM", "https://a.com", True),
        ("a.com", "https://www.a.com", True),
        (".a.com", "https://www.a.com", True),
        (".a.com", "https://a.com", True),
        ("*.a.com", "https://www.a.com", True),
        ("a.com", "https://aa.com", False),
        ("a.com", "https://a.com.evil.org", False),
        ("b.com, a.com", "https://a.com", True),
        ("a.com:443", "https://a.com", True),
        ("a.com:8443", "https://a.com", False),
        ("a.com:8443", "https://a.com:8443", True),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.0.0.0/8", "https://a.com", False),
        ("10.1.2.3", "https://10.1.2.3", True),
        ("[::1]", "https://[::1]", True),
        ("::1", "https://[::1]", True),
        ("[::1]:443", "https://[::1]", True),
        ("fd00::/8", "https://[fd00::1]", True),
        (",,", "https://a.com", False),
        ("nonsense/99", "https://a.com", False),
    ],
)
def test_no_proxy(no_proxy: str, url: str, direct: bool) -> None:
    proxy = proxy_for(url, HTTPS_PROXY="http://proxy", NO_PROXY=no_proxy)
    assert (proxy is None) is direct


@pytest.mark.parametrize(
    "value",
    [
        "ftp://proxy:1",
        "socks5://proxy:1",
        "http://",
        "http://[::1:1",
        "http://proxy:port",
        "http://proxy:70000",
    ],
)
def test_what_is_no_proxy_is_named_without_a_password(value: str) -> None:
    with_password = value.replace("proxy", "user:hunter2@proxy")
    with pytest.raises(SettingError) as raised:
        ProxySettings.from_environment({"HTTPS_PROXY": with_password})
    assert raised.value.name == "HTTPS_PROXY"
    assert "http://HOST:PORT" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_proxy_without_a_scheme_is_an_http_one() -> None:
    assert proxy_for("https://a.com", HTTPS_PROXY="proxy:3128") == "http://proxy:3128"
