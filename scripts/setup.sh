# Sourced by scripts/test and scripts/demo: prepares the virtual environment .venv beside pyproject.toml and
# activates it. Nothing outside the repository is changed, except that missing system packages
# are installed when this runs as root or sudo needs no password.
#
# With a sourced ROS 2 installation its rclpy and messages are used; otherwise ROS 2 Jazzy comes
# from the Python package index. PYTHON chooses the interpreter, EXTRA the extras of pyproject.toml:
# dev, or some that dev contains.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
PYTHON=${PYTHON:-python3}
EXTRA=${EXTRA:-dev}

say() { printf '== %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install_system PACKAGE...: true once the Debian packages are there.
install_system() {
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null || return 1
  say "installing $* with apt-get"
  local patience=(-o Acquire::http::Timeout=30 -o Acquire::Retries=1)
  { as_root apt-get "${patience[@]}" update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get "${patience[@]}" install -y -qq --no-install-recommends "$@"; } >&2
}

system_ros() {
  [ -n "${ROS_DISTRO:-}" ] && [ -n "${AMENT_PREFIX_PATH:-}" ] &&
    "$PYTHON" -c 'import rclpy' 2>/dev/null
}

check_python() {
  command -v "$PYTHON" >/dev/null || fail "no '$PYTHON': install Python 3.10 or newer"
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$("$PYTHON" --version) is too old: set PYTHON to a Python 3.10 or newer"
  "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || install_system python3-venv ||
    fail "the venv module is missing: sudo apt-get install python3-venv"
}

# The CUDA build of torch is some gigabytes: without an NVIDIA driver take the small one if it can be had.
torch_index() {
  command -v nvidia-smi >/dev/null && return
  local index=https://download.pytorch.org/whl/cpu
  "$VENV/bin/python" - "$index/torch/" <<'PY' 2>/dev/null && printf -- '--extra-index-url %s' "$index"
import sys, urllib.request
urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="HEAD"), timeout=5)
PY
}

install_packages() {
  local constraints=(-c "$ROOT/constraints.txt")
  local wheels=(-r "$ROOT/scripts/ros-wheels.txt")
  if system_ros; then
    # The installation's compiled messages fit only the numpy they were built against.
    "$PYTHON" -c 'import numpy; print("numpy==" + numpy.__version__)' >"$VENV/numpy.txt"
    constraints+=(-c "$VENV/numpy.txt")
    wheels=()
  elif ! "$VENV/bin/pip" download -q --no-deps -d "$VENV/probe" ros-rclpy==7.1.6 2>/dev/null; then
    say "no ROS 2 wheels for this platform: going on without ROS"
    wheels=()
  fi
  say "2 of 3: downloading and installing packages (up to 2 GB on disk, several more with CUDA)"
  local progress=on
  [ -t 2 ] || progress=off
  # shellcheck disable=SC2046
  "$VENV/bin/pip" install --progress-bar "$progress" --disable-pip-version-check $(torch_index) \
    "${constraints[@]}" ${wheels[@]+"${wheels[@]}"} -e "$ROOT[$EXTRA]" >&2
  if [ "$EXTRA" = dev ]; then
    # What it requires beside the extras, opencv-python, would replace opencv-python-headless.
    "$VENV/bin/pip" install -q --disable-pip-version-check "${constraints[@]}" --no-deps trackeval >&2
  fi
}

# The node needs messages that the package index lacks: those of scripts/vision_msgs and
# scripts/tf2_msgs are built.
MESSAGES=(vision_msgs tf2_msgs)

build_messages() {
  say "3 of 3: messages of the detections and of transforms"
  "$VENV/bin/python" -c 'import rclpy' 2>/dev/null || return 0
  local package
  for package in "${MESSAGES[@]}"; do
    "$VENV/bin/python" -c "import $package.msg" 2>/dev/null && continue
    if system_ros; then
      install_system "ros-$ROS_DISTRO-${package//_/-}" ||
        say "no $package: sudo apt-get install ros-$ROS_DISTRO-${package//_/-}"
    else
      build_package "$package"
    fi
  done
}

build_package() {
  local package=$1 include numpy
  include=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  numpy=$("$VENV/bin/python" -c 'import numpy; print(numpy.get_include())')
  if ! command -v c++ >/dev/null || [ ! -e "$include/Python.h" ]; then
    install_system g++ python3-dev || {
      say "no $package: sudo apt-get install g++ python3-dev"
      return 0
    }
  fi
  say "building the messages of scripts/$package"
  # The wheels name the include paths of the machine they were built on.
  sed -i -E "s#INTERFACE_INCLUDE_DIRECTORIES \"[^\"]*\"#INTERFACE_INCLUDE_DIRECTORIES \"$include;$numpy\"#" \
    "$VENV"/share/*/cmake/*rosidl_generator_pyExport.cmake
  (
    export AMENT_PREFIX_PATH=$VENV CMAKE_PREFIX_PATH=$VENV PATH=$VENV/bin:$PATH
    cmake -G Ninja -S "$ROOT/scripts/$package" -B "$VENV/build/$package" \
      -DPython3_EXECUTABLE="$VENV/bin/python" -DCMAKE_INSTALL_PREFIX="$VENV" -DBUILD_TESTING=OFF &&
      ninja -C "$VENV/build/$package" install
  ) >"$VENV/$package.log" 2>&1 || { tail -n 20 "$VENV/$package.log" >&2; fail "the build of $package failed"; }
}

# The operator's page is tested in a real browser; without one those tests are skipped. Ubuntu has
# no such package outside of snap.
install_browser() {
  [ "$EXTRA" = dev ] && ! command -v chromium >/dev/null || return 0
  install_system chromium ||
    say "no Chromium, so no tests in a browser: sudo apt-get install chromium"
}

# current_stamp EXTRA: what the environment is made from; when it changes, the environment is
# brought up to date.
current_stamp() {
  {
    printf '%s\n' "$1" "$VENV" "$("$PYTHON" -c 'import sys; print(sys.version, sys.base_prefix)')"
    if system_ros; then printf '%s\n' "$ROS_DISTRO $AMENT_PREFIX_PATH"; fi
    find "${MESSAGES[@]/#/$ROOT/scripts/}" -type f -print0 | sort -z | xargs -0 cat \
      "$ROOT/pyproject.toml" "$ROOT/constraints.txt" "$ROOT/scripts/ros-wheels.txt" "$ROOT/scripts/setup.sh"
  } | sha256sum
}

setup() {
  check_python
  local found
  found=$(cat "$VENV/stamp" 2>/dev/null || true)
  if [ "$found" != "$(current_stamp "$EXTRA")" ] && [ "$found" != "$(current_stamp dev)" ]; then
    say "preparing $VENV (once; some minutes, mostly downloads)"
    say "1 of 3: making the environment"
    if system_ros; then
      "$PYTHON" -m venv --clear --system-site-packages "$VENV"
    else
      "$PYTHON" -m venv "$VENV"
    fi
    install_packages
    build_messages
    install_browser
    current_stamp "$EXTRA" >"$VENV/stamp"
  fi
  # shellcheck disable=SC1091
  source "$VENV/bin/activate"
  export PYTHONPATH=$ROOT/ros2_ws/src/fusion_node${PYTHONPATH:+:$PYTHONPATH}
}

# A DDS domain of its own, so that runs beside each other on one machine stay apart.
private_domain() {
  export ROS_DOMAIN_ID=$((1 + (RANDOM * 32768 + RANDOM) % 100))
}

setup
