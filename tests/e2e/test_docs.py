"""The calls of the documentation, typed into a shell beside a running platform."""

from __future__ import annotations

import json
import subprocess

import pytest
from pipeline.stack.ports import DEFAULTS

from tests.support.checkout import ROOT
from tests.support.docs import commands, scripts
from tests.support.platforms.running_platform import RunningPlatform

pytestmark = pytest.mark.curl

PAGES = ["README.md", "docs/try.md", "docs/app.md"]
TYPED = ("curl", "eval", "lenta experiment report models")
"""What of these pages is run. The rest starts, stops or loads a platform, or plays for minutes: other tests do that."""
SHOWN = "\n--> %{http_code} %{url}\n"
ERRORS_ON_PURPOSE = {"/post/recommendations/?id=x": 422}


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_to_type_is_answered(platform: RunningPlatform, page: str) -> None:
    typed = [command.text for command in commands(ROOT / page) if _is_run(command.text)]
    assert typed
    shell = _shell(platform, "\n".join(typed))
    assert shell.returncode == 0, shell.stdout + shell.stderr
    answers = [line.split() for line in shell.stdout.splitlines() if line.startswith("--> ")]
    assert len(answers) == sum("curl" in text for text in typed)
    for _, code, url in answers:
        expected = {status for end, status in ERRORS_ON_PURPOSE.items() if url.endswith(end)} or {200, 202}
        assert int(code) in expected, shell.stdout


def test_the_readme_shows_answers_in_the_shape_that_they_have(platform: RunningPlatform) -> None:
    (minute,) = [script for script in scripts(ROOT / "README.md") if "/post/recommendations/" in script]
    shell = _shell(platform, f'eval "$(.venv/bin/lenta environment)"\n{minute}')
    answers = [json.loads(body) for body in _bodies(shell.stdout)]
    recommendations, preview, accepted, feed, refused = answers
    assert set(recommendations) == {"exp_group", "recommendations"}
    assert [set(post) for post in recommendations["recommendations"]] == [{"id", "text", "topic"}] * 2
    assert [set(post) for post in preview] == [{"id", "text", "topic"}]
    assert accepted == {"accepted": 1}
    assert set(feed[0]) == {"timestamp", "user_id", "post_id", "action", "target"}
    assert (refused["error"], refused["field"]) == ("invalid_parameter", "id")


def _is_run(text: str) -> bool:
    return any(start in text for start in TYPED)


def _shell(platform: RunningPlatform, script: str) -> subprocess.CompletedProcess[str]:
    """Runs in the checkout as a user would, but for the ports, which are the test's own."""
    for name, port in DEFAULTS.items():
        script = script.replace(f"127.0.0.1:{port}", f"127.0.0.1:{platform.ports[name]}")
    wrapped = f"set -eu\ncurl() {{ command curl -sS -w '{SHOWN}' \"$@\"; }}\n{script}"
    environ = {**platform.environ, "LENTA_API_KEY": platform.settings["LENTA_API_KEY"]}
    return subprocess.run(
        ["bash", "-c", wrapped], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=False
    )


def _bodies(output: str) -> list[str]:
    parts = output.split("\n--> ")
    return [parts[0], *(part.partition("\n")[2].strip() for part in parts[1:-1])]
