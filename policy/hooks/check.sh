#!/usr/bin/env bash
# What the action runs, and what any other CI can run: lint, test, and the red-line against a branch.
#
#   POLICY_PATH           a policy file or a folder
#   FAIL_UNDER            percent that examples have to show (100)
#   MUTATE                true: the mutation score counts as well
#   BASE                  a branch of origin, or any other commit, to compare with; empty: none
#   GITHUB_STEP_SUMMARY   where the red-line goes; else standard output
set -euo pipefail

: "${POLICY_PATH:?names no policy file or folder}"
summary="${GITHUB_STEP_SUMMARY:-/dev/stdout}"
mutate=()
if [[ "${MUTATE:-false}" == "true" ]]; then mutate=(--mutate); fi

limner policy lint "$POLICY_PATH"
limner policy test "$POLICY_PATH" --fail-under "${FAIL_UNDER:-100}" ${mutate[@]+"${mutate[@]}"}

if [[ -n "${BASE:-}" ]]; then
  old="$(mktemp -d)"
  trap 'rm -rf "$old"' EXIT
  base="$(git rev-parse --verify --quiet "origin/$BASE^{commit}" || git rev-parse --verify --quiet "$BASE^{commit}")" || {
    echo "The branch $BASE is not there to compare with: check out with fetch-depth 0." >&2
    exit 2
  }
  if ! git cat-file -e "$base:./$POLICY_PATH" 2>/dev/null; then
    echo "New: $POLICY_PATH is not on $BASE yet." >>"$summary"
    exit 0
  fi
  git archive "$base" -- "$POLICY_PATH" | tar -x -C "$old"
  # Exit code 1 says that something differs, which is no failure here.
  text="$(limner policy diff "$old/$POLICY_PATH" "$POLICY_PATH")" || [[ $? -eq 1 ]]
  # Indented by four it is shown as it is, whatever a policy's texts hold.
  { printf '## What changes in the policy\n\n'; sed 's/^/    /' <<<"$text"; } >>"$summary"
fi
