"""Small wrong changes to a module, one at a time, as edits of its syntax tree.

Left alone are what no test should hold on to: docstrings, annotations, log calls, texts for people,
`__all__`, imports and what decorators are given.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

Members = Mapping[str, tuple[str, ...]]

_CODE = re.compile(r"[A-Za-z0-9_.*-]+|(GET|POST) /\S+")
_FIGURE = re.compile(r"\d+(\.\d+)?")
_LOGGING = {"info", "warning", "error"}
_FOR_PEOPLE = {"detail", "fix", "message", "repr"}
_OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_NEIGHBOURS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
}
_SWAPS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One change: what it puts into which field of which node.

    `first` and `last` are the lines of the changed statement; `index` is the place where the field
    is a list, and a `new` of None takes the item out. `once` is true of what runs once for all
    tests: when the module is imported, or when a function is called whose result is kept.
    """

    path: Path
    tree: ast.Module
    holder: ast.AST
    field: str
    index: int | None
    new: object
    line: int
    first: int
    last: int
    once: bool
    kind: str
    change: str

    def apply(self) -> ast.Module:
        """Changes the tree itself, so that each tree is changed once, in a process of its own."""
        held = getattr(self.holder, self.field)
        if self.index is None:
            setattr(self.holder, self.field, self.new)
        elif self.new is None:
            del held[self.index]
        else:
            held[self.index] = self.new
        return ast.fix_missing_locations(self.tree)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node stands: its holder, the statement around it, and the outermost function."""

    holder: ast.AST
    field: str
    index: int | None
    statement: ast.stmt
    function: str | None


def find_mutants(paths: Iterable[Path], members: Members) -> list[Mutant]:
    """Every change of every file, always in the same order."""
    return [mutant for path in paths for mutant in _of_file(path, members)]


def enum_members(paths: Iterable[Path]) -> dict[str, tuple[str, ...]]:
    """The members of every enum that the files define, by its name."""
    found = {}
    for path in paths:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases):
                found[node.name] = tuple(
                    target.id
                    for one in node.body
                    if isinstance(one, ast.Assign)
                    for target in one.targets
                    if isinstance(target, ast.Name)
                )
    return found


def _of_file(path: Path, members: Members) -> Iterator[Mutant]:
    tree = ast.parse(path.read_text())
    kept = _kept(tree)
    for place, node in _walk(tree):
        for kind, field, index, new, holder in _changes(place, node, members):
            statement = place.statement
            body = getattr(statement, "body", None)
            last = body[0].lineno - 1 if isinstance(body, list) and body else statement.end_lineno
            yield Mutant(
                path=path,
                tree=tree,
                holder=holder,
                field=field,
                index=index,
                new=new,
                line=getattr(node, "lineno", statement.lineno),
                first=statement.lineno,
                last=max(statement.lineno, last or statement.lineno),
                once=place.function is None or place.function in kept,
                kind=kind,
                change=_told(holder, field, index, new),
            )


def _told(holder: ast.AST, field: str, index: int | None, new: object) -> str:
    """The change as source text: the smallest expression or statement around it, before and after."""
    if isinstance(holder, (ast.Module, ast.FunctionDef, ast.ClassDef, ast.If, ast.For, ast.While, ast.With)):
        old = getattr(holder, field)
        old = old if index is None else old[index]
        return f"{_short(old)} -> {_short(new)}"
    held = getattr(holder, field)
    if isinstance(holder, ast.Call) and field == "keywords" and new is None and index is not None:
        return f"{ast.unparse(holder.func)}(...) without {_short(held[index])}"
    if index is None:
        changed = copy.copy(holder)
        setattr(changed, field, new)
    else:
        items = [item for number, item in enumerate(held) if new is not None or number != index]
        if new is not None:
            items[index] = new
        changed = copy.copy(holder)
        setattr(changed, field, items)
    return f"{_short(holder)} -> {_short(changed)}"


def _short(node: object) -> str:
    text = " ".join(ast.unparse(node).split()) if isinstance(node, ast.AST) else "nothing"
    return text if len(text) <= 100 else f"{text[:97]}..."


def _walk(tree: ast.Module) -> Iterator[tuple[_Place, ast.AST]]:
    for index, statement in enumerate(tree.body):
        place = _Place(tree, "body", index, statement, function=None)
        yield from _below(place, statement)


def _below(place: _Place, node: ast.AST) -> Iterator[tuple[_Place, ast.AST]]:
    if _left_alone(node):
        return
    yield place, node
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list", "type_params", "bases"}:
            continue
        several = isinstance(value, list)
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST):
                continue
            statement = child if isinstance(child, ast.stmt) else place.statement
            function = place.function
            if function is None and isinstance(node, (ast.FunctionDef, ast.Lambda)) and field == "body":
                function = getattr(node, "name", "")
            yield from _below(_Place(node, field, index if several else None, statement, function), child)


def _kept(tree: ast.Module) -> set[str]:
    """The functions whose result is kept from their first call on, and those of the file they call."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    found: set[str] = set()
    waiting = [
        name
        for name, node in functions.items()
        if any(ast.unparse(decorator) == "cache" for decorator in node.decorator_list)
    ]
    while waiting:
        name = waiting.pop()
        if name in functions and name not in found:
            found.add(name)
            waiting += [node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)]
    return found


def _left_alone(node: ast.AST) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr)):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.keyword) and node.arg in _FOR_PEOPLE:
        return True
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets) or (
            # A union of types by another name.
            isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.BitOr)
        )
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.Call) and _is_log(node)


def _is_log(call: ast.Call) -> bool:
    func = call.func
    if isinstance(func, ast.Name):
        return func.id in {"log", "NewType", "cast"}
    return (
        isinstance(func, ast.Attribute)
        and func.attr in _LOGGING
        and ast.unparse(func.value).rsplit(".", 1)[-1] == "log"
    )


_Change = tuple[str, str, int | None, object, ast.AST]


def _changes(place: _Place, node: ast.AST, members: Members) -> Iterator[_Change]:
    """Kind, field, index, new value and holder of each change to one node."""
    for kind, new in _replacements(node, members):
        yield kind, place.field, place.index, new, place.holder
    for kind, field, index, value in (*_other_operators(node), *_other_conditions(node), *_other_calls(node)):
        yield kind, field, index, value, node


_InNode = tuple[str, str, int | None, object]


def _other_operators(node: ast.AST) -> Iterator[_InNode]:
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            for table in (_OPPOSITES, _NEIGHBOURS):
                if type(operator) in table:
                    yield "comparison", "ops", index, table[type(operator)]()
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _ARITHMETIC:
        yield "arithmetic", "op", None, _ARITHMETIC[type(node.op)]()
    if isinstance(node, ast.BoolOp):
        yield "boolean", "op", None, ast.And() if isinstance(node.op, ast.Or) else ast.Or()


def _other_conditions(node: ast.AST) -> Iterator[_InNode]:
    if isinstance(node, (ast.If, ast.IfExp, ast.While)) and not _is_true(node.test):
        yield "condition negated", "test", None, _negated(node.test)
    if isinstance(node, ast.comprehension):
        for index, condition in enumerate(node.ifs):
            yield "condition negated", "ifs", index, _negated(condition)


def _other_calls(node: ast.AST) -> Iterator[_InNode]:
    if isinstance(node, ast.Call):
        for index, keyword in enumerate(node.keywords):
            if keyword.arg is not None and keyword.arg not in _FOR_PEOPLE:
                yield "argument dropped", "keywords", index, None
        if isinstance(node.func, ast.Name) and node.func.id in _SWAPS:
            yield "swapped", "func", None, ast.Name(id=_SWAPS[node.func.id], ctx=ast.Load())


def _replacements(node: ast.AST, members: Members) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Constant):
        yield from (("constant", ast.Constant(value=value)) for value in _other_constants(node.value))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not removed", node.operand
    elif isinstance(node, ast.BoolOp):
        for index in range(len(node.values)):
            rest = [value for number, value in enumerate(node.values) if number != index]
            yield "operand dropped", rest[0] if len(rest) == 1 else ast.BoolOp(op=node.op, values=rest)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in members:
        of_enum = members[node.value.id]
        if node.attr in of_enum:
            other = of_enum[(of_enum.index(node.attr) + 1) % len(of_enum)]
            yield "enum member", ast.Attribute(value=node.value, attr=other, ctx=ast.Load())
    elif isinstance(node, (ast.Expr, ast.Continue, ast.Break)) or (
        isinstance(node, (ast.Assign, ast.AugAssign)) and _keeps(node)
    ):
        if not (isinstance(node, ast.Expr) and (_logs(node) or isinstance(node.value, ast.Yield))):
            yield "statement removed", ast.Pass()
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield "return replaced", ast.Return(value=ast.Constant(value=None))


def _other_constants(value: object) -> Iterator[bool | float | str]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield value + 1
        if value not in {0, 1}:
            yield value * 2
    elif isinstance(value, str) and _FIGURE.fullmatch(value):
        yield str(float(value) * 2)
    elif isinstance(value, str) and _CODE.fullmatch(value):
        yield f"{value}_not"


def _keeps(node: ast.Assign | ast.AugAssign) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return isinstance(node, ast.AugAssign) or any(
        isinstance(target, (ast.Attribute, ast.Subscript)) for target in targets
    )


def _logs(node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Call) and _is_log(node.value)


def _negated(test: ast.expr) -> ast.expr:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    return ast.UnaryOp(op=ast.Not(), operand=test)


def _is_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and test.value is True


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None
