"""Whether a version of vLLM has all that our engine uses: python tests/check_vllm.py [VERSION...]

GPU users install vLLM's own wheel, which cannot be imported without a GPU's libraries. Here it is downloaded
without its dependencies, unpacked into a temporary folder, read and deleted. What we use is read off our own
source: the names that it imports, the arguments that it gives, and the members of what it annotates as vLLM's.
Without a version: the lower bound of pyproject.toml, and the newest.
"""

import ast
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from scalinglab.collect.vllm_settings import EngineSettings, engine_arguments

ROOT = Path(__file__).parents[1]
OURS = sorted((ROOT / "scalinglab").rglob("vllm_*.py"))
EVERY = replace(EngineSettings(), reasoning_parser="x")
"""Settings that give every argument."""


@dataclass(frozen=True)
class Use:
    """One use of vLLM. name: of a class or function, by its import. member: of it; "": it is called itself.

    positional, keywords: the arguments of a call; None: it is not called.
    """

    name: str
    member: str = ""
    positional: int | None = None
    keywords: tuple[str, ...] = ()

    def __str__(self):
        called = "" if self.positional is None else f"({', '.join(f'{one}=' for one in self.keywords)})"
        return f"{self.name}{self.member and '.'}{self.member}{called}"


# What we use


def uses():
    """Every use of vLLM in our source, and the arguments that our settings become."""
    found = {use for path in OURS for use in _Reader(ast.parse(path.read_text())).uses()}
    named = {*engine_arguments("", EVERY, False), *engine_arguments("", EVERY, True)}
    return sorted(found | {Use("vllm.AsyncEngineArgs", "", 0, tuple(sorted(named)))}, key=str)


class _Reader:
    """One of our modules: its imports of vLLM, and which of its variables are annotated as vLLM's."""

    def __init__(self, tree):
        self.tree = tree
        self.imported = {
            alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "vllm"
            for alias in node.names
        }
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        self.functions, self.returned = functions, {f.name: self.kinds(f.returns) for f in functions}

    def uses(self):
        yield from (Use(name) for name in self.imported.values())
        for function in self.functions:
            known = self.variables(function)
            for node in ast.walk(function):
                yield from self.used(node, known)

    def used(self, node, known):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in self.imported:
            yield Use(self.imported[called.id], "", *_given(node))
        owner = called or node
        if isinstance(owner, ast.Attribute) and isinstance(owner.value, ast.Name):
            name = known.get(owner.value.id) or self.imported.get(owner.value.id)
            if name is not None:
                yield Use(name, owner.attr, *(_given(node) if called else ()))

    def variables(self, function):
        """The vLLM class of each variable that an annotation tells, of itself or of the method that made it."""
        arguments = (*function.args.args, *function.args.kwonlyargs)
        found = {one.arg: self.kinds(one.annotation)[0] for one in arguments}
        for node in ast.walk(function):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = self.kinds(node.annotation)[0]
            elif isinstance(node, ast.Assign):
                found |= dict(self.assigned(node))
        return {name: kind for name, kind in found.items() if kind is not None}

    def assigned(self, node):
        target, value = node.targets[0], node.value
        value = value.value if isinstance(value, ast.Await) else value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = zip(target.elts, [self.made(one)[0] for one in value.elts], strict=True)
        else:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            pairs = zip(names, [*self.made(value), None, None], strict=False)
        return [(name.id, kind) for name, kind in pairs if isinstance(name, ast.Name)]

    def made(self, value):
        """The classes that a call of our own method, or a field of self, gives."""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            return self.returned.get(value.func.attr, [None])
        if isinstance(value, ast.Attribute) and ast.unparse(value.value) == "self":
            return self.fields().get(value.attr, [None])
        return [None]

    def fields(self):
        nodes = [node for node in ast.walk(self.tree) if isinstance(node, ast.AnnAssign)]
        return {n.target.attr: self.kinds(n.annotation) for n in nodes if isinstance(n.target, ast.Attribute)}

    def kinds(self, annotation):
        """The vLLM classes of an annotation: one, those of a tuple, or [None]."""
        if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "tuple":
            return [self.kinds(one)[0] for one in annotation.slice.elts]
        parts = [annotation.left, annotation.right] if isinstance(annotation, ast.BinOp) else [annotation]
        names = [part.id for part in parts if isinstance(part, ast.Name)]  # X or X | None
        return [next((self.imported[name] for name in names if name in self.imported), None)]


def _given(call):
    return len(call.args), tuple(sorted(keyword.arg for keyword in call.keywords if keyword.arg))


# What vLLM has


class Vllm:
    """The source of one vLLM, in a folder that holds the package."""

    def __init__(self, folder):
        self.folder, self._trees = Path(folder), {}

    def missing(self, use):
        """What is not there of a use: a sentence, or None."""
        found = self.find(use.name)
        if found is None:
            return f"{use.name} is not there"
        module, node = found
        if use.member:
            if not isinstance(node, ast.ClassDef):
                return None  # an object, such as current_platform, whose class nobody names
            found = self.member(module, node, use.member)
            if found is None:
                return f"{use.name} has no {use.member}"
            module, node = found
        return self.refused(use, module, node) if use.positional is not None else None

    def refused(self, use, module, node):
        """Which arguments of a call it does not take."""
        if isinstance(node, ast.ClassDef):
            made = self.member(module, node, "__init__")
            node = made[1] if made else node
        if isinstance(node, ast.ClassDef):
            taken, most = self.annotated(module, node), 10**6
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            named = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
            most = 10**6 if node.args.vararg else len(named) - bool(use.member or named[:1] == ["self"])
            taken = {*named, *(one.arg for one in node.args.kwonlyargs)}
        else:
            return f"{use} is no call"
        unknown = [name for name in use.keywords if name not in taken]
        if unknown:
            return f"{use.name}{use.member and '.'}{use.member} takes no {', '.join(unknown)}"
        return f"{use} takes {most} positional arguments" if use.positional > most else None

    def member(self, module, node, name):
        """A member of a class or of its bases: where it is defined, or set on self."""
        for one in ast.walk(node):
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name == name and one in node.body:
                return module, one
        if name != "__init__" and name in self.annotated(module, node) | _set_on_self(node):
            return module, node
        for base in node.bases:
            found = self.find(f"{module}.{ast.unparse(base)}")
            if found and isinstance(found[1], ast.ClassDef) and (at := self.member(*found, name)):
                return at
        return None

    def annotated(self, module, node):
        """The fields of a dataclass or struct, and of its bases; the values of an enumeration."""
        own = {
            one.target.id
            for one in node.body
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        }
        own |= {
            t.id
            for one in node.body
            if isinstance(one, ast.Assign)
            for t in one.targets
            if isinstance(t, ast.Name)
        }
        bases = [self.find(f"{module}.{ast.unparse(base)}") for base in node.bases]
        return own.union(*(self.annotated(*base) for base in bases if base and isinstance(base[1], ast.ClassDef)))

    def find(self, dotted, depth=9):
        """The module and the node that a dotted name leads to, through imports; None: nowhere."""
        module, _, name = dotted.rpartition(".")
        tree = self.tree(module)
        if tree is None or not depth:
            return None
        for node in _top(tree.body):
            if getattr(node, "name", None) == name or name in _targets(node):
                return module, node
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        return self.find(f"{self.absolute(module, node)}.{alias.name}", depth - 1)
        return (module, tree) if self.tree(dotted) else None

    def absolute(self, module, node):
        if not node.level:
            return node.module
        package = (self.folder / module.replace(".", "/")).is_dir()
        parts = module.split(".")
        kept = parts[: len(parts) - node.level + package]
        return ".".join([*kept, *([node.module] if node.module else [])])

    def tree(self, module):
        """The syntax tree of a module of vLLM; None where there is none."""
        if module not in self._trees:
            base = self.folder / module.replace(".", "/")
            path = next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
            self._trees[module] = path and ast.parse(path.read_text(encoding="utf-8"))
        return self._trees[module]


def _top(body):
    """The statements of a module, those under an if or a try too: vLLM names what it loads lazily there."""
    for node in body:
        yield node
        for part in ("body", "orelse", "handlers", "finalbody") if isinstance(node, ast.If | ast.Try) else ():
            yield from _top(getattr(node, part, []))


def _targets(node):
    targets = (
        node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    )
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _set_on_self(node):
    """What a class's methods assign on self."""
    stores = (n for n in ast.walk(node) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store))
    return {one.attr for one in stores if ast.unparse(one.value) == "self"}


def problems(folder):
    """What a vLLM lacks of what we use, in sentences."""
    vllm = Vllm(folder)
    return [said for use in uses() if (said := vllm.missing(use))]


# The wheels


def wheel(version, folder):
    """A wheel of a version ("": the newest), downloaded; its version and its path."""
    wanted = f"vllm=={version}" if version else "vllm"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--only-binary", ":all:", "--dest", str(folder), wanted], check=True)
    (path,) = Path(folder).glob("vllm-*.whl")
    return path.name.split("-")[1], path


def lower_bound():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["vllm"]
    return next(one.removeprefix("vllm>=") for one in extras if one.startswith("vllm>="))


def checked(version):
    """Say what one version lacks; whether it lacks something."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            found, path = wheel(version, folder)
        except subprocess.CalledProcessError:
            print(f"vllm {version or '(the newest)'}: the registry has no wheel of it for this Python and system")
            return True
        with zipfile.ZipFile(path) as packed:
            packed.extractall(folder, [name for name in packed.namelist() if name.endswith(".py")])
        path.unlink()
        lacking = problems(folder)
    print(f"vllm {found}: {len(uses()) - len(lacking)} of {len(uses())} uses are there")
    for line in lacking:
        print(f"  {line}")
    return bool(lacking)


if __name__ == "__main__":
    wanted = list(dict.fromkeys(sys.argv[1:] or [lower_bound(), ""]))
    raise SystemExit(sum(checked(version) for version in wanted))
