# Shared by the scripts of this folder: skipping a part, installing packages, building for any target.
# Sourced from the repository's root: . ci/lib.sh

set -euo pipefail

# Everything that is slow to get a second time: kernels, unpacked packages, built standard libraries.
mkdir -p "${CARGO_TARGET_DIR:-target}/ci"
cache=$(cd "${CARGO_TARGET_DIR:-target}/ci" && pwd)

# Ends the script as failed.
fail() { # REASON
    echo "failed: $1"
    exit 1
}

# Prints the one line that stands for a part that cannot run here. The caller goes on without that part, unless this is CI,
# where everything should be there but the parts that ci/skips.allowed has, with the start of the reason.
skip() { # NAME REASON
    printf 'skipped: %s: %s\n' "$1" "$2"
    [ "${CI:-}" != true ] || sed '/^#/d; s/  *#.*//' ci/skips.allowed |
        SKIP="$1: $2" awk 'index(ENVIRON["SKIP"], $0) == 1 { found = 1 } END { exit !found }' ||
        fail "CI=true, and ci/skips.allowed does not have '$1: $2'"
}

# Ends the script, as there is nothing that it can do here.
skip_job() { # REASON
    skip "${0##*/}" "$1"
    exit 0
}

# Ends the script unless the program is there, or can be installed.
require() { # PROGRAM [PACKAGE]
    command -v "$1" >/dev/null || need "${2:-$1}" || skip_job "no $1, and its package cannot be installed"
}

# The same for a part of the Rust toolchain, by rustup or as a package.
require_component() { # COMMAND COMPONENT PACKAGE
    cargo "$1" --version >/dev/null 2>&1 || rustup component add "$2" 2>/dev/null || need "$3" ||
        skip_job "no cargo $1, and the component $2 cannot be installed"
}

# Builds a tool from the registry, once, and puts it on the PATH. Without optimization, which halves the time.
tool() { # CRATE@VERSION
    PATH=$cache/tools/bin:$PATH
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root "$cache/tools" --target-dir "$cache/tools/target" \
        "$1" >"$cache/tools.log" 2>&1 || skip_job "${1%@*} cannot be downloaded or built"
    rm -rf "$cache/tools/target"
}

# cargo-hack, which runs a command with every set of features.
need_hack() {
    tool cargo-hack@0.6.46
}

# A nightly compiler, which the job uses as `cargo "+$toolchain"`. Sets toolchain.
need_nightly() {
    toolchain=${NIGHTLY:-nightly}
    cargo "+$toolchain" --version >/dev/null 2>&1 ||
        rustup toolchain install "$toolchain" --profile minimal >/dev/null 2>&1 || skip_job "no $toolchain compiler"
}

# Git also in a checkout that belongs to somebody else, which it refuses otherwise.
git() {
    command git -c safe.directory="$PWD" "$@"
}

# Copies the files of the repository as they are now, committed or not, to a folder: all, or those below the paths.
copy_files() { # FOLDER [PATH...]
    mkdir -p "$1"
    git ls-files -z --cached --others --exclude-standard -- "${@:2}" | xargs -0 cp --parents -d -t "$1"
}

# Installs what is missing of these Debian packages. Fails, saying nothing, where they cannot be had.
need() { # PACKAGE...
    local missing=() package
    for package; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>&1 | grep -qx installed || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null && ((EUID == 0)) || return 1
    update_lists
    quiet_apt install -y --no-install-recommends "${missing[@]}"
}

# Once in a run, also when one script starts another.
update_lists() {
    [ -z "${CI_LISTS_UPDATED:-}" ] || return 0
    quiet_apt update || true
    export CI_LISTS_UPDATED=1
}

quiet_apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >"$cache/apt.log" 2>&1
}

# Downloads packages and unpacks them, without installing anything. APT_OPTIONS may point apt at other sources.
unpack() { # FOLDER PACKAGE[=VERSION]...
    local folder=$1 debs=$1/debs deb
    shift
    mkdir -p "$debs"
    (cd "$debs" && apt-get -qq -o APT::Sandbox::User=root "${APT_OPTIONS[@]}" download "$@" 2>"$cache/apt.log") || return 1
    for deb in "$debs"/*.deb; do dpkg-deb -x "$deb" "$folder"; done
    rm -r "$debs"
}
APT_OPTIONS=()

# Other releases of the same mirror, and other processors, in lists of our own: the system's apt keeps what it has. Sets
# APT_OPTIONS. The releases with the fixes have a place of their own on the mirror.
other_releases() { # RELEASE...
    local site folder=$cache/apt-$* keys=/usr/share/keyrings/debian-archive-keyring.gpg release processor
    folder=${folder// /-}
    mkdir -p "$folder/lists/partial" "$folder/cache"
    [ -e "$keys" ] || return 1
    for release; do
        site=$(site_of "$release")
        [ -n "$site" ] || return 1
        echo "deb [arch=${processors// /,} signed-by=$keys] $site $release main"
    done >"$folder/sources.list"
    APT_OPTIONS=(
        -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache"
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    )
    for processor in $processors; do APT_OPTIONS+=(-o "APT::Architectures::=$processor"); done
    quiet_apt "${APT_OPTIONS[@]}" update
}
processors='amd64 arm64 ppc64el'

site_of() { # RELEASE
    local label=Debian
    [[ $1 != *-security ]] || label=Debian-Security
    apt-get indextargets --format "\$(SITE)" "Created-By: Packages" "Origin: Debian" "Label: $label" | sed q
}

# The kernel's policy for huge pages of memory files: where it stands, and what it is.
policy=/sys/kernel/mm/transparent_hugepage/shmem_enabled
current_policy() {
    sed 's/.*\[\(.*\)\].*/\1/' "$policy"
}

# The crate's features without the default set, one a line.
features() {
    awk '/^\[/ { inside = $0 == "[features]" } inside && /^[a-z][a-z0-9_-]* *=/ && !/^default / { print $1 }' Cargo.toml
}

# A column of this table for one target. In the table - is nothing, a comma separates several. The processor has Debian's name.
# i686 programs run on an x86_64 kernel as they are: the real thing needs no emulator.
column() { # TARGET COLUMN
    awk -v target="$1" -v column="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == column) field = i }
        $1 == target { found = 1; if ($field != "-") { gsub(",", " ", $field); print $field } }
        END { exit !found }' <<'TABLE'
target                         processor  library  backends        linker                     runner        machines         strip                        packages
x86_64-unknown-linux-gnu       amd64      glibc    linux_raw,libc  cc                         -             qemu-system-x86  strip                        gcc
x86_64-unknown-linux-musl      amd64      musl     linux_raw,libc  musl-gcc                   -             qemu-system-x86  strip                        musl-tools
i686-unknown-linux-gnu         i386       glibc    linux_raw,libc  i686-linux-gnu-gcc         -             -                -                            gcc-i686-linux-gnu,libc6-dev-i386-cross
aarch64-unknown-linux-gnu      arm64      glibc    linux_raw,libc  aarch64-linux-gnu-gcc      qemu-aarch64  qemu-system-arm  aarch64-linux-gnu-strip      gcc-aarch64-linux-gnu,libc6-dev-arm64-cross,qemu-user,qemu-user-binfmt
powerpc64le-unknown-linux-gnu  ppc64el    glibc    libc            powerpc64le-linux-gnu-gcc  qemu-ppc64le  qemu-system-ppc  powerpc64le-linux-gnu-strip  gcc-powerpc64le-linux-gnu,libc6-dev-ppc64el-cross,qemu-user,qemu-user-binfmt
armv7-unknown-linux-gnueabihf  armhf      glibc    linux_raw,libc  arm-linux-gnueabihf-gcc    qemu-arm      -                -                            gcc-arm-linux-gnueabihf,libc6-dev-armhf-cross,qemu-user,qemu-user-binfmt
riscv64gc-unknown-linux-gnu    riscv64    glibc    linux_raw,libc  riscv64-linux-gnu-gcc      qemu-riscv64  -                -                            gcc-riscv64-linux-gnu,libc6-dev-riscv64-cross,qemu-user,qemu-user-binfmt
s390x-unknown-linux-gnu        s390x      glibc    libc            s390x-linux-gnu-gcc        qemu-s390x    -                -                            gcc-s390x-linux-gnu,libc6-dev-s390x-cross,qemu-user,qemu-user-binfmt
TABLE
}

# Installs a compiler with the source of its standard library, and what linking and running for the target takes.
need_target() { # TARGET
    local packages
    packages=$(column "$1" packages)
    # shellcheck disable=SC2086 # a list of names
    need rustc-web cargo-web rust-web-src gcc libc6-dev $packages
}

# Cargo for a target without a ready standard library: builds it from source, once for each target. Programs are static,
# so that they run under an emulator or as the only file of a machine.
std_cargo() { # TARGET COMMAND ARGS...
    local target=$1 command=$2 flags=-Ctarget-feature=+crt-static settings=() runner
    shift 2
    runner=$(column "$target" runner)
    [ -z "$runner" ] || settings=(--config "target.$target.runner=['ci/emulate', '$runner']")
    if [[ $target = *-musl ]]; then
        musl_shim
        flags+=" -Clink-self-contained=no -Crelocation-model=static -L $cache/musl-shim"
    fi
    debian_cargo "$command" --target "$target" -Zbuild-std=std,panic_abort \
        --config "target.$target.linker='$(column "$target" linker)'" \
        --config "target.$target.rustflags='$flags'" "${settings[@]}" "$@"
}

# Builds for a target and prints the programs that came of it.
built() { # TARGET COMMAND ARGS...
    std_cargo "$@" --quiet --message-format=json-render-diagnostics | executables
}

# The programs in cargo's messages about a build.
executables() {
    grep -o '"executable":"[^"]*"' | cut -d'"' -f4
}

# Debian's own cargo and compiler with the unstable options on. Its own target folder, as the compiler is another one than the
# main build's; no debug information, as nobody debugs these programs.
debian_cargo() { # COMMAND ARGS...
    local command=$1
    shift
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u RUSTUP_TOOLCHAIN \
        PATH="/usr/bin:$PATH" RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc RUSTC_BOOTSTRAP=1 \
        CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 \
        nice /usr/bin/cargo "$command" --target-dir "$cache/std" "$@"
}

# The compiler asks for libunwind, which musl-tools lacks. gcc's own unwinder serves, but calls a function of glibc's, and
# names the thread functions that it calls as weak symbols, which a static program would leave out.
musl_shim() {
    local shim=$cache/musl-shim
    mkdir -p "$shim"
    musl-gcc -O2 -c ci/dl_find_object.c -o "$shim/dlfo.o"
    ar rcs "$shim/libdlfo.a" "$shim/dlfo.o"
    local threads='pthread_once pthread_mutex_lock pthread_mutex_unlock pthread_getspecific pthread_setspecific'
    echo "EXTERN($threads) INPUT(-lgcc_eh -ldlfo)" >"$shim/libunwind.a"
}
