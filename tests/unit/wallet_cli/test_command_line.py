"""The command line itself: exit codes, global options before and after, languages, secrets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.wallet_cli.conftest import Wallet


def test_a_new_wallet_is_empty(wallet: Wallet) -> None:
    result = wallet.run("list", "--json")
    assert result.code == 0
    assert result.json == {"credentials": []}


def test_global_options_stand_before_and_after_the_command(wallet: Wallet) -> None:
    for arguments in (
        ["--json", "--lang", "ca", "list"],
        ["list", "--json", "--lang", "ca"],
        ["--json", "list", "--lang", "ca"],
    ):
        result = wallet.run(*arguments)
        assert result.json == {"credentials": []}
        assert "credencial" in result.err


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["show"], ["list", "--nonsense"], ["trust", "add"], ["consent", "withdraw"]]
)
def test_a_wrong_command_line_is_2(wallet: Wallet, arguments: list[str]) -> None:
    assert wallet.run(*arguments).code == 2
    result = wallet.run("--json", *arguments)
    assert (result.code, result.json["error"]) == (2, "usage")


def test_a_wrong_passphrase_is_1_and_says_so(wallet: Wallet) -> None:
    wallet.passphrase_file.write_text("another sentence")
    result = wallet.run("list", "--json")
    assert result.code == 1
    assert result.json["error"] == "wrong_passphrase"
    assert "another sentence" not in result.out + result.err


def test_a_truncated_store_is_1_and_says_so(wallet: Wallet) -> None:
    path = wallet.folder / "wallet.db"
    path.write_bytes(path.read_bytes()[:5000])
    result = wallet.run("list", "--json")
    assert (result.code, result.json["error"]) == (1, "store_damaged")


def test_init_never_overwrites(wallet: Wallet) -> None:
    result = wallet.run("init", "--json")
    assert (result.code, result.json["error"]) == (1, "store_exists")
    assert wallet.run("list").code == 0


def test_outside_the_sandbox_a_passphrase_has_eight_characters(bare_wallet: Wallet) -> None:
    bare_wallet.passphrase_file.write_text("short")
    result = bare_wallet.run("init", "--json")
    assert (result.code, result.json["error"]) == (1, "passphrase_short")
    assert not bare_wallet.folder.exists()


def test_a_missing_wallet_tells_how_to_make_one(bare_wallet: Wallet) -> None:
    result = bare_wallet.run("list", "--json")
    assert (result.code, result.json["error"]) == (1, "store_missing")


def test_the_passphrase_comes_from_a_descriptor(wallet: Wallet) -> None:
    read, write = os.pipe()
    os.write(write, wallet.passphrase_file.read_bytes())
    os.close(write)
    wallet.passphrase_file.write_text("not this one")
    assert wallet.run("list", "--passphrase-fd", str(read)).code == 0
    os.close(read)


def test_no_passphrase_and_nobody_to_ask(wallet: Wallet) -> None:
    wallet.environment = {"WALLET_PASSPHRASE_FILE": ""}
    result = wallet.run("list", "--json")
    assert (result.code, result.json["error"]) == (1, "passphrase_missing")


def test_map_is_for_sandbox_stores_only(bare_wallet: Wallet) -> None:
    assert bare_wallet.run("init").code == 0
    result = bare_wallet.run("list", "--json", "--map", "https://a.example=http://127.0.0.1:1")
    assert (result.code, result.json["error"]) == (2, "bad_map")


def test_the_start_imports_neither_web_frameworks_nor_cryptography(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from wallet_cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'fastapi','starlette','sqlmodel','sqlalchemy','pydantic','httpx','joserfc',\n"
        "         'cryptography','sqlcipher3','nacl'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_command_that_stays_at_home_loads_no_network(wallet: Wallet) -> None:
    script = (
        "import sys\n"
        "from wallet_cli.main import main\n"
        f"code = main(['list', '--json', '--store', {str(wallet.folder)!r}])\n"
        "heavy = {'fastapi','starlette','sqlmodel','sqlalchemy','pydantic','httpx','joserfc'}\n"
        "print(code, sorted(heavy & set(sys.modules)))\n"
    )
    environment = {**os.environ, "WALLET_PASSPHRASE_FILE": str(wallet.passphrase_file)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize(
    "module", ["card", "consent", "credentials", "history", "init", "offer", "present", "receipt", "timeline", "trust"]
)
def test_no_command_imports_a_server(module: str) -> None:
    script = (
        f"import sys, wallet_cli.commands.{module}\n"
        "heavy = {'fastapi','starlette','uvicorn','sqlmodel','sqlalchemy','pydantic','httpx','joserfc','jinja2',\n"
        "         'pyhanko_certvalidator'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_has_read_enough(wallet: Wallet) -> None:
    command = f"{sys.executable} -m wallet_cli history --store {wallet.folder} | head -c 0"
    environment = {**os.environ, "WALLET_PASSPHRASE_FILE": str(wallet.passphrase_file)}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, env=environment)
    assert done.stderr == ""
