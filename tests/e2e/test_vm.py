"""Each case of tests/vm/cases, in a virtual machine with control groups of version 2; see tests/vm/rig.py."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vm"))
import rig  # noqa: E402  pylint: disable=wrong-import-position

CASES = rig.cases()


@pytest.fixture(scope="module")
def results(request):
    """{name of a case: its result}: machines are started for the cases that were asked for, when one is."""
    asked = {item.callspec.params["name"] for item in request.session.items
             if item.fspath == request.node.fspath and hasattr(item, "callspec")}
    batches = rig.groups([case for case in CASES if case.name in asked])
    known = {}

    def result(name):
        if name not in known:
            batch = next(batch for batch in batches if name in {case.name for case in batch})
            try:
                found, console = rig.boot(batch)
            except rig.Unavailable as trouble:
                pytest.skip(str(trouble))
            known.update({key: (one, console) for key, one in found.items()})
        return known[name]
    return result


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_in_a_virtual_machine(results, name):
    result, console = results(name)
    print("\n".join(result.lines))
    if not result.good:
        print("the kernel said:", console[-4000:])
    if result.skipped:
        pytest.skip(result.skipped[0])
    assert result.status is not None, "it did not come to its end"
    assert not result.said("not ok"), result.said("not ok")
    assert result.good, f"exit status {result.status}, {len(result.said('ok'))} things hold"


def test_a_case_that_fails_is_seen():
    """The parser takes nothing for good that is not."""
    one = [rig.Case(rig.HERE / "cases" / "life.sh")]
    for text, good in (("case life\nok a\nend life 0\n", True), ("case life\nok a\n", False),
                       ("case life\nok a\nnot ok b\nend life 0\n", False), ("case life\nend life 0\n", False),
                       ("case life\nok a\nend life 1\n", False), ("", False)):
        assert rig.parse(text, one)["life"].good == good, text
