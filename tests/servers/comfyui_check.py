"""Whether a ComfyUI server takes a graph: the refusals of `/prompt`, by node and input."""

from __future__ import annotations

from typing import Any

Table = dict[str, dict[str, Any]]


class Refused(Exception):
    """The body of the 400."""

    def __init__(self, kind: str, message: str, details: str = "", node_errors: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        error = {"type": kind, "message": message, "details": details, "extra_info": {}}
        self.body = {"error": error, "node_errors": node_errors or {}}


def is_link(value: Any) -> bool:
    """Whether an input is another node's output."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def check(graph: Any, table: Table) -> tuple[list[str], dict[str, Any]]:
    """Give the output nodes that will run, and the errors of those that will not.

    Raises:
        Refused: nothing of the graph can run.
    """
    if not isinstance(graph, dict) or not graph:
        raise Refused("no_prompt", "No prompt provided", "No prompt provided")
    for name, node in graph.items():
        kind = node.get("class_type") if isinstance(node, dict) else None
        if kind is None:
            raise Refused(
                "invalid_prompt",
                "Cannot execute because a node is missing the class_type property.",
                f"Node ID '#{name}'",
            )
        if kind not in table:
            raise Refused("invalid_prompt", f"Cannot execute because node {kind} does not exist.", f"Node ID '#{name}'")
    ends = [name for name, node in graph.items() if table[node["class_type"]]["output_node"]]
    if not ends:
        raise Refused("prompt_no_outputs", "Prompt has no outputs")
    good: list[str] = []
    errors: dict[str, Any] = {}
    for end in ends:
        found = {name: faults for name in _behind(end, graph) if (faults := _node_faults(name, graph, table))}
        for name, faults in found.items():
            row = errors.setdefault(
                name, {"errors": faults, "dependent_outputs": [], "class_type": graph[name]["class_type"]}
            )
            row["dependent_outputs"].append(end)
        if not found:
            good.append(end)
    if not good:
        details = "\n".join(fault["details"] for row in errors.values() for fault in row["errors"])
        raise Refused("prompt_outputs_failed_validation", "Prompt outputs failed validation", details, errors)
    return good, errors


def _behind(end: str, graph: dict[str, Any]) -> list[str]:
    seen, todo = [], [end]
    while todo:
        name = todo.pop()
        if name in seen or name not in graph:
            continue
        seen.append(name)
        todo += [value[0] for value in graph[name].get("inputs", {}).values() if is_link(value)]
    return seen


def _node_faults(name: str, graph: dict[str, Any], table: Table) -> list[dict[str, Any]]:
    node = graph[name]
    row = table[node["class_type"]]
    given = node.get("inputs", {})
    faults = []
    for key, spec in {**row["required"], **row["optional"]}.items():
        if key not in given:
            if key in row["required"]:
                faults.append(_fault("required_input_missing", "Required input is missing", key, key, None))
            continue
        fault = (
            _link_fault(key, given[key], spec[0], graph, table)
            if is_link(given[key])
            else _value_fault(key, given[key], spec)
        )
        faults += [fault] if fault else []
    return faults


def _link_fault(key: str, link: list[Any], kind: Any, graph: dict[str, Any], table: Table) -> dict[str, Any] | None:
    source = graph.get(link[0])
    outputs = table[source["class_type"]]["output"] if source else ()
    if link[1] >= len(outputs):
        return _fault("bad_linked_input", "Bad linked input", key, f"{key}, {link}", link)
    if isinstance(kind, str) and outputs[link[1]] != kind:
        details = f"{key}, received_type({outputs[link[1]]}) mismatch input_type({kind})"
        return _fault("return_type_mismatch", "Return type mismatch between linked nodes", key, details, link)
    return None


def _value_fault(key: str, value: Any, spec: tuple[Any, ...]) -> dict[str, Any] | None:
    kind, limits = spec[0], spec[1] if len(spec) > 1 else {}
    if isinstance(kind, list):
        if value in kind:
            return None
        return _fault("value_not_in_list", "Value not in list", key, f"{key}: '{value}' not in {kind[:20]}", value)
    if kind in {"INT", "FLOAT"}:
        try:
            size = int(value) if kind == "INT" else float(value)
        except (TypeError, ValueError):
            return _fault(
                "invalid_input_type",
                f"Failed to convert an input value to a {kind} value",
                key,
                f"{key}, {value}",
                value,
            )
        if size < limits.get("min", size):
            return _fault(
                "value_smaller_than_min", f"Value {value} smaller than min of {limits['min']}", key, key, value
            )
        if size > limits.get("max", size):
            return _fault("value_bigger_than_max", f"Value {value} bigger than max of {limits['max']}", key, key, value)
    return None


def _fault(kind: str, message: str, key: str, details: str, value: Any) -> dict[str, Any]:
    info = {"input_name": key, "input_config": None, "received_value": value}
    return {"type": kind, "message": message, "details": details, "extra_info": info}
