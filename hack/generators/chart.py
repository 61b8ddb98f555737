"""What of the Helm chart is rendered from elsewhere: the kinds, the schema of the values and their table."""

from __future__ import annotations

import json
import re

import yaml

from hack.generators.values import defaults, json_schema, read_values, table

_NAME = re.compile(r"^  name: .*$", re.MULTILINE)
_METADATA = """
  labels:
    {{- include "crmflow.labels" . | nindent 4 }}
  {{- with include "crmflow.crdAnnotations" . }}
  annotations:
    {{- . | nindent 4 }}
  {{- end }}"""
_TABLE = re.compile(r"(?<=<!-- values -->\n).*?(?=<!-- end of values -->)", re.DOTALL)


def crd_template(crd: str) -> str:
    """A CustomResourceDefinition (YAML) as a template: optional, labeled, kept on uninstall if wished."""
    escaped = crd.replace("{{", '{{ "{{" }}')
    body = _NAME.sub(lambda name: name[0] + _METADATA, escaped, count=1)
    return f"{{{{- if .Values.crds.enabled }}}}\n{body}{{{{- end }}}}\n"


def defaults_template(values: str) -> str:
    """The defaults of an annotated ``values.yaml`` as a template, which no release's own values replace."""
    text = yaml.safe_dump(defaults(read_values(values)), sort_keys=False, width=110, allow_unicode=True)
    escaped = text.replace("{{", '{{ "{{" }}')
    return f'{{{{- define "crmflow.defaults" -}}}}\n{escaped}{{{{- end -}}}}\n'


def values_schema(values: str) -> str:
    """``values.schema.json`` of an annotated ``values.yaml``."""
    return json.dumps(json_schema(read_values(values)), indent=2, ensure_ascii=False) + "\n"


def chart_readme(page: str, values: str) -> str:
    """The chart's page with the table of values put anew between its marks."""
    rows = f"\n{table(read_values(values))}\n"
    filled, count = _TABLE.subn(lambda _: rows, page)
    if count != 1:
        raise ValueError("charts/crmflow/README.md has no place for the table of values")
    return filled
