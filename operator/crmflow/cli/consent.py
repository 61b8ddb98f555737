"""A person's consent in their browser: send them to Zoho, and take what comes back."""

from __future__ import annotations

from crmflow.api.zohosourceconnection import DataCenter
from crmflow.cli import pages
from crmflow.cli.exchange import Exchange
from crmflow.cli.problem import Problem
from crmflow.cli.redirect import RedirectServer, RedirectUri
from crmflow.cli.terminal import ask_secret, open_browser, say
from crmflow.http.errors import RemoteError
from crmflow.zoho.consent import authorization_url, callback_parameters, grant_token, new_state


class Consent:
    """One request for consent, with a state of its own."""

    def __init__(self, exchange: Exchange, uri: RedirectUri, client_data_center: DataCenter) -> None:
        """``client_data_center`` is where the client is registered: its page is the one to go to."""
        self._exchange = exchange
        self._uri = uri
        self._state = new_state()
        self._url = authorization_url(
            exchange.zoho.endpoints.accounts_url(client_data_center),
            exchange.client.id,
            uri.text,
            exchange.scopes,
            self._state,
        )

    async def by_paste(self) -> list[str]:
        """The browser is on another machine, and the person pastes the address that it ended on."""
        say(f"Open this address in a browser and consent:\n\n{self._url}\n")
        pasted = ask_secret("Paste the address that the browser ended on")
        return await self._complete(callback_parameters(pasted.get_secret_value()))

    async def by_redirect(self, *, browser: bool, seconds: float) -> list[str]:
        """The browser is on this machine, and Zoho sends it to our server, which shows how it ended."""
        clock = self._exchange.zoho.clock
        async with RedirectServer(self._uri, self._state) as server:
            opened = browser and open_browser(self._url)
            begin = "If no browser opened, open" if opened else "Open"
            say(f"{begin} this address and consent:\n\n{self._url}\n")
            say(f"Waiting for the answer at {self._uri.text} …")
            parameters = await server.answer(clock, clock.now() + seconds)
            if parameters is None:
                raise self._nobody(seconds)
            try:
                told = await self._complete(parameters)
            except (RemoteError, Problem) as error:
                problem = Problem.of(error)
                server.show(pages.not_connected(problem.message, problem.advice))
                raise
            server.show(pages.connected(told))
        return told

    async def _complete(self, parameters: dict[str, str]) -> list[str]:
        exchange = self._exchange
        data_center, endpoints = exchange.connection.data_center, exchange.zoho.endpoints
        code = grant_token(parameters, self._state, data_center, endpoints)
        return await exchange.complete(code, self._uri.text)

    def _nobody(self, seconds: float) -> Problem:
        return Problem(
            f"nobody consented within {seconds:.0f} s",
            "Run the command again. If Zoho's page said Invalid Client or Invalid Redirect Uri: check the "
            f"client id, that {self._uri.text} is registered for it, and --client-data-center",
        )
