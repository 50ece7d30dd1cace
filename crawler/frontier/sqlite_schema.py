"""What is in the file of a crawl's state: the tables, and the indices by which steps find rows."""

# Raised when the tables change.
VERSION = 4
TABLES = """
create table crawl (
    version integer not null,
    output text not null,      -- the file, and how much of it is committed
    written integer not null,
    terms text not null,       -- what the crawl is of
    listed integer not null,   -- whether the list has been read to its end
    pages integer not null,    -- how many URLs count against the most that may be asked for
    least integer not null     -- the least depth of a page that is not done, as it was last
);
create table pages (
    id integer primary key,
    mark blob not null,
    url text not null,
    host integer not null,
    source text not null,      -- the line of the list, or ''
    depth integer not null,
    redirects integer not null,
    state integer not null     -- 0 waiting, 1 claimed, 2 done, 3 set aside
);
create unique index known_pages on pages (mark, depth);
-- SQLite uses these for queries that say the same in as many words, and for no others.
create index waiting_pages on pages (host, depth) where state = 0;
create index claimed_pages on pages (host) where state = 1;
create index pages_set_aside on pages (depth) where state = 3;
create table kept (            -- the links of pages that are done and may turn out to be nearer
    depth integer not null,
    page integer not null,
    step integer not null,
    links blob not null,
    primary key (depth, page)
) without rowid;
create table levels (depth integer primary key, open integer not null);
create table hosts (
    id integer primary key,
    name text not null unique,
    pages integer not null default 0,    -- known ones, and those of them that are not done
    open integer not null default 0,
    waiting integer not null default 0,
    owner integer,
    ready_at real not null default 0,    -- on the clock of the system
    named integer not null default 0,
    served real not null default 0       -- when it was last claimed of
);
create index free_hosts on hosts (ready_at) where owner is null and waiting > 0;
create index held_hosts on hosts (owner) where owner is not null;
create index held_hosts_with_work on hosts (owner, served) where owner is not null and waiting > 0;
create index open_hosts on hosts (id) where open > 0;
create table begun (place text primary key) without rowid;
create table workers (
    id integer primary key autoincrement,
    until real not null,
    hungry integer not null default 0
);
create table counts (name text primary key, n integer not null) without rowid;
"""
# What a step works on.
FOUND = """
create temp table found (
    mark blob primary key, url text, host text, depth integer, redirects integer, source text,
    place text, state integer, number integer
) without rowid
"""
