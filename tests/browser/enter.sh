#!/bin/sh
# Debian's Chromium out of the private root of tests/services, in the place of a program: playwright starts it by path.
# Its mounts are its own and end with it; profiles are exchanged by /tmp; the pipes that playwright gives stay open.
exec unshare --mount --propagation private sh -ec '
    mount -t proc proc "$IAS_TEST_BROWSER_ROOT/proc"
    mount -t tmpfs tmpfs "$IAS_TEST_BROWSER_ROOT/dev/shm"
    mount --bind /tmp "$IAS_TEST_BROWSER_ROOT/tmp"
    mount --bind "$IAS_TEST_BROWSER_FONTS" "$IAS_TEST_BROWSER_ROOT/mnt"
    exec chroot "$IAS_TEST_BROWSER_ROOT" /usr/bin/chromium-headless-shell "$@"
' sh "$@"
