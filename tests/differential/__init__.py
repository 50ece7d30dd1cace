"""Random asyncio programs, run on miniloop and on asyncio under one virtual order of events.

What a program does is its *trace*: every event with its turn, its time and whose it was. Two loops
that give the same trace cannot be told apart by that program. Read in this order: `language`, what
a program is, and `steps`, what it is made of; `world` and `interpreter`, how it runs on any loop;
`clocks`, how time and turns are the same on both; `generator`, where programs come from;
`comparison` and `shrinking`, what becomes of one that tells the loops apart.

`python -m tests.differential SEED` shows one program and what it does on both loops.
"""
