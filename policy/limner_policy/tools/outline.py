"""Where a pack's top keys, sources and lists stand in its file, for findings about them."""

from __future__ import annotations

from limner_policy import yaml_reading as nodes
from limner_policy.pack import Pack


class Outline:
    """Lines of a pack's top keys and of what stands under them by name, counted from 1."""

    def __init__(self, pack: Pack) -> None:
        """Read the pack's own file again."""
        root, _ = nodes.read_yaml(pack.document, file=pack.file)
        self._root = root

    def of(self, *names: str) -> int:
        """The line of a key; 1 where there is none."""
        line, node = 1, self._root
        for name in names:
            pairs = node.pairs if isinstance(node, nodes.Mapping) else ()
            key, node = next(((key, value) for key, value in pairs if key.text == name), (None, None))
            if key is None:
                return line
            line = key.line
        return line

    def under(self, name: str) -> list[tuple[str, int]]:
        """Names and lines of what stands under a top key."""
        pairs = self._root.pairs if isinstance(self._root, nodes.Mapping) else ()
        node = next((value for key, value in pairs if key.text == name), None)
        return [(key.text, key.line) for key, _ in node.pairs] if isinstance(node, nodes.Mapping) else []

    def source(self, name: str) -> dict[str, str]:
        """The plain values of one source."""
        pairs = self._root.pairs if isinstance(self._root, nodes.Mapping) else ()
        sources = next((value for key, value in pairs if key.text == "sources"), None)
        own = sources.pairs if isinstance(sources, nodes.Mapping) else ()
        node = next((value for key, value in own if key.text == name), None)
        inner = node.pairs if isinstance(node, nodes.Mapping) else ()
        return {key.text: value.text for key, value in inner if isinstance(value, nodes.Scalar)}
