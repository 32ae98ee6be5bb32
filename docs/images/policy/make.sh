#!/usr/bin/env bash
# Makes the pictures of docs/policy-for-legal.md again; needs limner and a Chromium on the path.
set -euo pipefail
cd "$(dirname "$0")"
pack=../../../policy/examples/eu-marketing.policy.yaml
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
sed -e 's/^version: .*/version: 2026.12.1/' \
    -e 's/at_least: "0.35"/at_least: "0.50"/' \
    -e 's/fairtrade, nutri score/fairtrade, bio siegel, nutri score/' \
    -e 's/except: \[before and after school\]/except: [before and after school, before and after christmas]/' \
    -e 's/mode_from: {enforce: 2027-01-15}/mode_from: {enforce: 2027-03-01}/' "$pack" >"$work/new.policy.yaml"
limner policy book "$pack" --output "$work/book.html" --as-of 2026-11-25
limner policy diff "$pack" "$work/new.policy.yaml" --output "$work/redline.html" >"$work/redline.txt" || test $? -eq 1
# One rule alone: a picture of a place further down cannot be taken otherwise.
sed 's|</head>|<style>main > * { display: none } #EUM-033 { display: block !important }</style></head>|' \
  "$work/book.html" >"$work/rule.html"
shot() { # page, picture, height
  chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1 \
    --window-size="860,$3" --screenshot="$2" "file://$1" >/dev/null 2>&1
}
shot "$work/book.html" book.png 1000
shot "$work/rule.html" book-rule.png 1560
shot "$work/redline.html" redline.png 830
