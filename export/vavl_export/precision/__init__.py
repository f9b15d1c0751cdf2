"""Lower-precision variants of a bundle's graphs: how they are made, calibrated, checked and timed, one file each."""
