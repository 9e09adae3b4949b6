# shellcheck shell=bash disable=SC2034 # the callers use what is set here
# Shared by ci/kernels and ci/settings: runs test programs, and makes a table of what came of them.
# Sourced after ci/lib.sh. The caller sets `programs`, and calls heading, row for each machine, and end.

programs=() table='' rows=0 failed=0

# The programs, one after the other, between two markers each, through a command if there is one. ci/init.c prints the same.
run_programs() { # [COMMAND...]
    local program status
    for program in "${programs[@]}"; do
        echo "memfile-start: ${program##*/}"
        status=0
        "$@" nice "$program" || status=$?
        printf '\nmemfile-exit: %s %s\n' "${program##*/}" "$status"
    done
}

# What a program printed between its two markers, counted: the last line of libtest's or of the conformance program, and the
# tests that say that they, or parts of them, were skipped.
counts() { # LOG NAME
    awk -v name="$2" '
        $1 == "memfile-start:" { inside = $2 == name }
        inside && /^the tests need / { refusal = $0 }
        inside && match($0, /skipped: [^ ]+: /) && !seen[substr($0, RSTART, RLENGTH)]++ { skipped++ }
        inside && /^(test result:|[0-9]+ passed)/ {
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed/) passed = $(i - 1)
                if ($i ~ /^failed/) failed = $(i - 1)
                if ($i ~ /^(skipped|ignored)/) ignored = $(i - 1)
            }
        }
        $1 == "memfile-exit:" && $2 == name { ended = 1; status = $3; inside = 0 }
        END {
            if (!ended) print "did not end"
            else if (refusal) print "\"" refusal "\""
            else if (status && !failed) print "status " status
            else print passed + 0 " passed, " failed + 0 " failed" (skipped + ignored ? ", " skipped + ignored " skipped" : "")
        }' "$1"
}

heading() { # TITLE
    local program name
    ((${#programs[@]})) || fail 'there are no programs to run'
    table=$(printf '%-26s' "$1")
    for program in "${programs[@]}"; do
        name=${program##*/}
        table+=$(printf '  %-34s' "${name%-????????????????}")
    done
}

# One row of the table. A program may also end with a cell that is named as right.
row() { # NAME LOG [CELL]
    local program cell
    rows=$((rows + 1))
    table+=$(printf '\n%-26s' "$1")
    for program in "${programs[@]}"; do
        cell=$(counts "$2" "${program##*/}")
        table+=$(printf '  %-34s' "$cell")
        if [[ $cell != [1-9]*' passed, 0 failed'* && $cell != "${3:-}" ]]; then
            failed=1
            printf '%s, %s: %s, see %s\n' "$1" "${program##*/}" "$cell" "$2"
        fi
    done
}

# Prints the table, and ends the script. A misspelled argument is a failure too.
end() {
    printf '%s\n' "$table"
    ((rows)) || fail 'nothing was run'
    exit "$failed"
}
