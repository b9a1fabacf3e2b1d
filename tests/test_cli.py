"""The command line: friendly, strict, and quick to start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import FIXTURES

from corehead_lib.cli import main

OK = str(FIXTURES / "01_ok.py")


def corehead(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_help_and_params_do_not_import_torch() -> None:
    code = (
        "import sys; from corehead_lib.cli import main\n"
        "for arguments in (['--help'], ['run', '--help'], ['params', sys.argv[1]], ['schema']):\n"
        "    main(arguments, standalone_mode=False)\n"
        "assert not {'torch', 'transformers', 'papermill', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, OK], check=True, capture_output=True)


def test_params_lists_name_type_default_and_help() -> None:
    lines = corehead("params", OK).output.splitlines()
    assert lines[0].split(maxsplit=3) == ["samples", "int", "4", "how many samples"]
    assert [line.split()[1] for line in lines] == ["int", "float", "str", "bool", "int"]


def test_a_notebook_without_parameters_says_so() -> None:
    assert "no parameters" in corehead("params", FIXTURES / "02_our_error.py").output


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["sample", "3"], "no parameter 'sample'. Did you mean 'samples'?"),
        (["zzz", "3"], "Known: label, loud, noise, samples, seed."),
        (["samples", "many"], "'samples' needs a whole number (int), not 'many'"),
        (["samples", "3.5"], "'samples' needs a whole number"),
        (["noise", "nan"], "'noise' needs a number (float), not 'nan'"),
        (["noise", "inf"], "'noise' needs a number"),
        (["loud", "perhaps"], "'loud' needs true or false (bool), not 'perhaps'"),
        (["seed", "1", "-p", "seed", "2"], "'seed' is given twice"),
    ],
)
def test_a_wrong_parameter_stops_before_anything_runs(tmp_path: Path, given: list[str], message: str) -> None:
    result = corehead("run", OK, "--out", tmp_path / "out", "-p", *given)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["no_such_notebook", "missing/path.py", ""])
def test_an_unknown_notebook_is_one_sentence(tmp_path: Path, name: str) -> None:
    result = corehead("run", name, "--out", tmp_path)
    assert result.exit_code == 1
    assert result.output.startswith("Error: There is no notebook")


def test_unknown_notebook_and_parameters_of_the_book(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corehead_lib.bookkeeping.notebooks.folder", lambda: FIXTURES)
    assert "Did you mean '01_ok'?" in corehead("params", "01_okk").output
    assert "fits several notebooks: 01_ok, 02_our_error" in corehead("params", "0").output
    assert corehead("params", "01").exit_code == 0


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        result = corehead("run", OK, "--out", out)
        assert result.exit_code == 1
        assert result.output.startswith("Error: Cannot write into the folder")
        assert len(result.output.splitlines()) == 1


def test_the_notebooks_own_folder_is_refused() -> None:
    result = corehead("run", OK, "--out", FIXTURES)
    assert result.exit_code == 1
    assert "choose another folder" in result.output


def test_schema_prints_json_schema() -> None:
    printed = json.loads(corehead("schema").output)
    assert {"rows", "numbers", "inputs", "parameters", "versions"} <= set(printed["required"])
