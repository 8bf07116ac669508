"""Figures of the code itself: sizes, complexity, types, docstrings, cycles and names. `make figures` prints them."""

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ROOT / "worker"
#: Participles that do not end in -ed and have served as function names.
IRREGULAR_PARTICIPLES = frozenset(
    {"begun", "bound", "brought", "built", "chosen", "done", "drawn", "felt", "forgotten", "found", "given", "gone"}
    | {"grown", "heard", "held", "hung", "kept", "known", "led", "left", "lost", "made", "meant", "met", "paid", "said"}
    | {"seen", "sent", "shown", "sold", "spent", "spoken", "taken", "taught", "thought", "told", "understood", "won"}
    | {"worn", "written"}
)
#: Verbs that end in -ed.
VERBS = frozenset({"embed", "exceed", "feed", "need", "proceed", "seed", "speed"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the product: its dotted name, its number of lines and its syntax tree."""

    name: str
    lines: int
    tree: ast.Module

    def iter_functions(self) -> Iterator[Function]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def iter_classes(self) -> Iterator[ast.ClassDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef):
                yield node


def read_modules(folder: Path = PRODUCT) -> list[Module]:
    """Return the modules below a folder, without the migrations, which are never changed again."""
    modules = []
    for path in (path for path in sorted(folder.rglob("*.py")) if "versions" not in path.parts):
        text = path.read_text(encoding="utf-8")
        name = ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__")
        modules.append(Module(name, len(text.splitlines()), ast.parse(text)))
    return modules


def count_lines(function: Function) -> int:
    """Return the number of lines of the body, without the docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def is_typed(function: Function) -> bool:
    """Whether every parameter and the result have a type."""
    arguments = function.args
    variadic = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *variadic]
    return function.returns is not None and all(
        parameter.annotation is not None for parameter in parameters if parameter.arg not in ("self", "cls")
    )


def is_bare_participle(name: str) -> bool:
    """Whether a function is named by one participle: `told`, `_found`, `cancelled`."""
    word = name.strip("_")
    return "_" not in word and word not in VERBS and (word in IRREGULAR_PARTICIPLES or word.endswith("ed"))


def list_public(modules: Sequence[Module]) -> Iterator[ast.ClassDef | Function]:
    """Yield the public classes, functions and methods."""
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                yield node
                if isinstance(node, ast.ClassDef):
                    yield from (
                        member
                        for member in node.body
                        if isinstance(member, ast.FunctionDef) and not member.name.startswith("_")
                    )


def find_cycles(modules: Sequence[Module]) -> list[list[str]]:
    """Return the groups of modules that import each other at the top of the file, each sorted by name."""
    names = {module.name for module in modules}
    imports: dict[str, set[str]] = {module.name: set(_iter_imports(module, names)) for module in modules}
    reachable: dict[str, set[str]] = {}
    for start in imports:
        seen, waiting = set[str](), [start]
        while waiting:
            for following in imports[waiting.pop()] - seen:
                seen.add(following)
                waiting.append(following)
        reachable[start] = seen
    # two modules are in one group when each reaches the other
    groups = {tuple(sorted(b for b in reachable[a] if a in reachable[b])) for a in imports if a in reachable[a]}
    return [list(group) for group in sorted(groups)]


def _iter_imports(module: Module, names: set[str]) -> Iterator[str]:
    for node in module.tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & names
            yield from inner or ({node.module} & names)
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & names


def measure_complexity() -> list[int]:
    """Return the McCabe complexity of every function, as ruff counts it."""
    command = [sys.executable, "-m", "ruff", "check", "--select", "C901", "--config", "lint.mccabe.max-complexity=0"]
    command += ["--output-format", "json", "--exit-zero", "--no-cache", str(PRODUCT)]
    findings = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return [int(re.search(r"\((\d+) >", finding["message"])[1]) for finding in findings]  # type: ignore[index]


def measure() -> list[tuple[str, str]]:
    """Return each figure with its value."""
    modules = read_modules()
    functions = [(module, function) for module in modules for function in module.iter_functions()]
    lengths, sizes = [count_lines(function) for _, function in functions], [module.lines for module in modules]
    complexity = measure_complexity()
    public = list(list_public(modules))
    described = sum(ast.get_docstring(definition) is not None for definition in public)
    participles = [
        f"{module.name}.{function.name}" for module, function in functions if is_bare_participle(function.name)
    ]
    cycles = find_cycles(modules)
    return [
        ("modules", f"{len(modules)}; median {median(sizes):.0f} lines, longest {max(sizes)}"),
        ("lines of Python in the product", f"{sum(sizes):,}"),
        ("functions", f"{len(functions)}; median {median(lengths):.0f} lines, longest {max(lengths)}"),
        (
            "complexity",
            f"highest {max(complexity)}; over 10: {sum(value > 10 for value in complexity) / len(complexity):.1%}",
        ),
        ("functions with all types", f"{sum(is_typed(function) for _, function in functions) / len(functions):.1%}"),
        ("public names with a docstring", f"{described / len(public):.1%}"),
        ("import cycles", str(len(cycles)) + "".join(f"; {' <-> '.join(cycle)}" for cycle in cycles)),
        ("functions named by a bare participle", str(len(participles))),
        (
            "class names used more than once",
            _list_repeated(definition.name for module in modules for definition in module.iter_classes()),
        ),
        ("module names used more than once", _list_repeated(module.name.rpartition(".")[2] for module in modules)),
    ]


def _list_repeated(names: Iterator[str]) -> str:
    counts = Counter(names)
    again = sorted(name for name, count in counts.items() if count > 1)
    return f"{len(again)}" + (f": {', '.join(again)}" if again else "")


def main() -> None:
    for name, value in measure():
        print(f"{name + ':':42} {value}")


if __name__ == "__main__":
    main()
