"""Module order: an include against it fails. The order is the table of ARCHITECTURE.md, section 7."""
import pathlib
import re
import sys

BELOW = {
    "base": [],
    "config": ["base"],
    "column": ["base"],
    "net": ["base"],
    "avro": ["column"],
    "parquet": ["column"],
    "storage": ["net"],
    "table": ["avro", "parquet", "storage"],
    "merge": ["table"],
    "state": ["base", "column"],
    "maintain": ["merge", "table"],
    "source": ["base", "config"],
    "decode": ["avro", "column", "net"],
    "pipeline": ["decode", "source", "state", "maintain", "merge", "table", "config"],
    "verify": ["merge", "source"],
    "serve": ["base"],
    "cli": ["verify", "pipeline", "serve"],
}


def closure(module):
    seen, todo = {module}, [module]
    while todo:
        for below in BELOW[todo.pop()]:
            if below not in seen:
                seen.add(below)
                todo.append(below)
    return seen


def module_of(include):
    parts = include.split("/")
    if parts[0] != "moraine":
        return None
    return "base" if parts[1] == "base" else parts[1].removesuffix(".h")


def main():
    root = pathlib.Path(sys.argv[1])
    bad, checked = [], 0
    files = [(p, p.relative_to(root / "src").parts[0]) for p in (root / "src").rglob("*.[ch]")]
    for p in (root / "include" / "moraine").rglob("*.h"):
        files.append((p, module_of("/".join(p.relative_to(root / "include").parts))))
    names = {}
    for path, module in files:
        if path.is_relative_to(root / "src"):
            other = names.setdefault(path.name, path)
            if other != path:
                bad.append(f"{path}: file name also used by {other}")
        allowed = closure(module)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line)
            if not match:
                continue
            checked += 1
            target = module_of(match.group(1))
            if target is None:
                continue
            if target not in BELOW:
                bad.append(f"{path}:{number}: includes unknown module '{target}'")
            elif target not in allowed:
                bad.append(f"{path}:{number}: {module}/ may not include {target}/")
    for line in bad:
        print(line)
    print(f"{checked} includes checked, {len(bad)} against the order")
    if checked == 0:
        print("no include found: the test looks at the wrong folder")
    return 1 if bad or checked == 0 else 0


sys.exit(main())
