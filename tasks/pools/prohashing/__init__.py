"""Prohashing: WAMP first, HTTP as the fallback. The pool closed in November 2025; the dialect lives on."""
