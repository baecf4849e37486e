#!/bin/sh
# Collect the texts of templates and pages into web/texts, merge them into the translations, and compile those.
set -eu
cd "$(dirname "$0")/../.."
babel="$PWD/.venv/bin/pybabel -q"
$babel extract -F packaging/web/babel.cfg --no-location --sort-output --omit-header -k _ -k text -o web/texts/scr.pot .
for language in ko; do
    if [ -e "web/texts/$language.po" ]; then
        $babel update --ignore-obsolete --no-fuzzy-matching -i web/texts/scr.pot -o "web/texts/$language.po" -l $language
    else
        $babel init -i web/texts/scr.pot -o "web/texts/$language.po" -l $language
    fi
    $babel compile -i "web/texts/$language.po" -o "web/texts/$language.mo" -l $language
done
