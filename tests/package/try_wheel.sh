#!/usr/bin/env bash
# Install a wheel into an environment of its own, and run it there, away from the checkout.
#     tests/package/try_wheel.sh dist/equireg-*.whl
# PIP_OPTIONS are further options of pip, such as those that leave out dependencies.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
wheel="$(realpath "$1")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

"${PYTHON:-python3}" -m venv "$work/venv"
# shellcheck disable=SC2086
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check -c "$root/constraints.txt" \
    ${PIP_OPTIONS:-} torch "$wheel"
cd "$work"
equireg="$work/venv/bin/equireg"

"$work/venv/bin/python" -c "
import equireg, pathlib
place = pathlib.Path(equireg.__file__)
assert 'venv' in place.parts, place  # the installed one, not a checkout
assert (place.parent / 'py.typed').is_file()
"
"$work/venv/bin/python" - "$root/src" "$wheel" <<'CHECK'
import pathlib, sys, zipfile
source, wheel = pathlib.Path(sys.argv[1]), zipfile.ZipFile(sys.argv[2])
wanted = {path.relative_to(source).as_posix() for path in source.glob("equireg/**/*") if path.is_file()}
missing = {name for name in wanted - set(wheel.namelist()) if "__pycache__" not in name and "LICENSE" not in name}
assert not missing, f"the wheel lacks {sorted(missing)}"
CHECK
"$equireg" --version
"$equireg" demo --out demo --cases 4 --labelled 1 --test_cases 1 --max_steps 10 --features 4
"$equireg" report demo/runs/* --out page
"$equireg" view "$(ls -d demo/predictions/* | head -1)" --out view.html
"$equireg" completion bash > completion
"$equireg" schema train > schema.json
grep -q "<svg" page/index.html
grep -qi "niivue" view.html
test -s demo/report/index.html
echo "the wheel works: $(basename "$wheel")"
