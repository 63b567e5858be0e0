#!/usr/bin/env bash
# Checks every policy; plans those that changed since $BASE where $IAS_API_URL and $IAS_ACCESS_TOKEN are there.
# Ends with 1 where one of them cannot be put into force. Changes alone are no failure.
set -euo pipefail

folder=${FOLDER:-orgs}
ias-admin gitops validate "$folder"
if [ -z "${IAS_ACCESS_TOKEN:-}" ] || [ -z "${BASE:-}" ]; then exit 0; fi

failed=0
while IFS= read -r -d '' file; do
  code=0
  ias-admin gitops plan "$file" --markdown >>"$GITHUB_STEP_SUMMARY" || code=$?
  if [ "$code" -ne 0 ] && [ "$code" -ne 3 ]; then failed=1; fi
  echo >>"$GITHUB_STEP_SUMMARY"
done < <(git diff -z --name-only --no-renames --diff-filter=AM "$BASE" -- "$folder/*/org.yaml")
exit "$failed"
