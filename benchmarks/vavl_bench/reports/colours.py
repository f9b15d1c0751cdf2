"""Colours of Okabe and Ito, which colour-blind people can tell apart. Bars and curves of one measurement share one."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
