"""Reads what GET /metrics answers, and refuses what is not OpenMetrics 1.0 (or, with open=False, the
text format 0.0.4) as strictly as who wrote those down."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9]+(?:\.[0-9]+)?)")
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}
NUMBER = re.compile(r"[0-9]+\.[0-9]+(e-?[0-9]+)?|\+Inf")


class Family:
    def __init__(self, name):
        self.name, self.type, self.unit, self.help = name, None, "", None
        self.samples = {}  # {(suffix, ((label, value), ...)): number}


def labels_of(text):
    found = tuple(tuple(one.split("=", 1)) for one in re.findall(LABEL, text or ""))
    assert len({name for name, _ in found}) == len(found), f"a label twice: {text}"
    return tuple((name, value[1:-1]) for name, value in found)


def check_histogram(family):
    series = {}
    for (suffix, labels), number in family.samples.items():
        rest = tuple(label for label in labels if label[0] != "le")
        series.setdefault(rest, {}).setdefault(suffix, []).append((dict(labels).get("le"), number))
    for labels, parts in series.items():
        assert set(parts) == {"_bucket", "_sum", "_count"}, (family.name, labels)
        bounds = [bound for bound, _ in parts["_bucket"]]
        numbers = [number for _, number in parts["_bucket"]]
        assert all(NUMBER.fullmatch(bound) for bound in bounds), bounds
        assert bounds[-1] == "+Inf" and [float(bound) for bound in bounds] == sorted(float(bound) for bound in bounds)
        assert numbers == sorted(numbers), (family.name, labels)
        assert parts["_count"] == [(None, numbers[-1])]


def read(text, open=True):
    """{name without suffix: Family}"""
    families, current = {}, None
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    if open:
        assert lines.pop() == "# EOF"
    for line in lines:
        if line.startswith("#"):
            word, kind, name, value = re.fullmatch(rf"(#) (TYPE|HELP|UNIT) ({NAME}) (.+)", line).groups()
            if not current or current.name != name:
                assert name not in families, f"{name} is interrupted by another"
                current = families[name] = Family(name)
            assert not current.samples, f"{line}: after its samples"
            assert getattr(current, kind.lower()) in (None, ""), f"{line}: twice"
            setattr(current, kind.lower(), value)
            continue
        name, labels, number = SAMPLE.fullmatch(line).groups()
        suffixes = SUFFIXES[current.type] if open or current.type == "histogram" else ("",)
        suffix = next((one for one in suffixes if name == current.name + one), None)
        assert suffix is not None, f"{line}: is none of {current.name}, a {current.type}"
        key = (suffix, labels_of(labels))
        assert key not in current.samples, f"{line}: twice"
        current.samples[key] = float(number)
    for family in families.values():
        assert family.type and family.help, family.name
        assert not family.unit or family.name.endswith("_" + family.unit), family.name
        if family.type == "histogram":
            check_histogram(family)
        elif not open and family.type == "counter":
            assert family.name.endswith("_total"), family.name
    return families
