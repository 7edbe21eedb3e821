"""Byte-diff replay: a script of client bytes is run against a database and against Flashgate in front of it, and what the server side
said must be the same, packet by packet, after masking what can't be (nonces, ids, keys).

`wire` has the stream, the transcript and its comparison; `mysql` and `postgres` run a script of their protocol; `mysql_sessions` and
`postgres_sessions` make scripts from a seed; `replay` runs them and shrinks one that differs.
"""
