"""That tests turn every switch to every position."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import BaseModel


def assert_all_turned(switches: type[BaseModel], function: str, *files: str) -> None:
    """Each switch is a keyword of a call of ``function`` in one of the test files, and each of its named
    positions stands there.
    """
    trees = [ast.parse((Path(__file__).parent / file).read_text()) for file in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    turned = {
        keyword.arg
        for node in nodes
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == function
        for keyword in node.keywords
    }
    assert turned == set(switches.model_fields)
    constants = {node.value for node in nodes if isinstance(node, ast.Constant)}
    for name, field in switches.model_fields.items():
        if get_origin(field.annotation) is Literal:
            assert set(get_args(field.annotation)) <= constants, name
