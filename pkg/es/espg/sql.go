package espg

// Every statement of the package. $1 is the partition wherever there is one.

// eventColumns in the order in which readRecord takes them.
const eventColumns = `e.position, e.stream, e.version, e.command, e.ordinal, e.type, e.data, e.meta, e.at, e.chain`

const (
	// The present life of a partition.
	sqlLife = `(select incarnation, after, before, partitions, hash_version, system_identifier, timeline
		from partition where partition = $1::integer order by life desc limit 1)`

	// The newest event of a partition.
	sqlNewest = `(select position, chain, at from event where partition = $1::integer order by position desc limit 1)`

	sqlNewestChain = `(select chain from event where partition = $1::integer order by position desc limit 1)`

	// Who serves us: the server's identifier and the timeline it writes.
	sqlIdentity = `(select s.system_identifier,
			('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer as timeline
		from pg_control_system() s)`

	// A partition's life, and whether it is lived here.
	sqlOpen = `select l.incarnation, l.after, l.before, l.partitions, l.hash_version,
			l.system_identifier = i.system_identifier and l.timeline = i.timeline
		from ` + sqlLife + ` l, ` + sqlIdentity + ` i`

	sqlLives = `select incarnation, after, before from partition where partition = $1 order by life`

	// $2 is the position that the writer knows.
	sqlHead = `select l.incarnation, l.after, l.before, clock_timestamp(), t.position, t.chain, t.at,
			(select chain from event where partition = $1 and position = $2)
		from ` + sqlLife + ` l left join lateral ` + sqlNewest + ` t on true`

	sqlScan = `select ` + eventColumns + ` from event e
		where e.partition = $1 and e.position > $2 order by e.position limit $3`

	// One probe of the index for each position.
	sqlPick = `select ` + eventColumns + `
		from unnest($2::bigint[]) with ordinality w (position, n)
		join lateral (select * from event e where e.partition = $1 and e.position = w.position) e on true
		order by w.n`

	sqlRows = `select stream, version, position, fold, data from state
		where partition = $1 and stream = any($2::text[])`

	sqlStates = `select stream, version, position, fold, data from state where partition = $1`

	// What is not in a stream's row of the wanted fold ($3, -1 for no row).
	sqlStreams = `select ` + eventColumns + `
		from unnest($2::text[], $3::bigint[]) w (stream, fold)
		cross join lateral (
			select * from event e
			where e.stream = w.stream and e.version > coalesce(
				(select version from state s where s.partition = $1 and s.stream = w.stream and s.fold = w.fold), 0)
			order by e.version
		) e`

	// One probe of the index for each command: asked for all at once in their order, PostgreSQL may walk the whole partition.
	sqlCommands = `select ` + eventColumns + `
		from unnest($2::uuid[]) w (command)
		cross join lateral (
			select * from event e where e.partition = $1 and e.command = w.command order by e.ordinal
		) e`

	// '0' is the character after '/'. The order keeps the planner from scanning the table for a row that is not there.
	sqlRoots = `select r from unnest($1::text[]) r
		where (select true from event e where e.stream >= (r || '/') collate "C" and e.stream < (r || '0') collate "C" order by e.stream, e.version limit 1)`

	sqlRoot = `select ` + eventColumns + ` from event e where e.stream = $1
		union all
		select ` + eventColumns + ` from event e
		where e.stream >= ($1 || '/') collate "C" and e.stream < ($1 || '0') collate "C"
		order by position`

	sqlLock  = `select pg_advisory_xact_lock($1, $2), clock_timestamp()`
	sqlClock = `select clock_timestamp()`

	// $2 position and $4 chain of the newest event, $3 incarnation: where the batch expects the log to end. A chain stands for its
	// position, so the two plain subqueries say all that a join would, which costs more to set up than to run.
	sqlAppend = `insert into event (partition, position, stream, version, command, ordinal, type, data, meta, at, chain)
		select $1::integer, $2::bigint + n, stream, version, command, ordinal, type, data, meta, $5::timestamptz, chain
		from unnest($6::text[], $7::bigint[], $8::uuid[], $9::integer[], $10::text[], $11::bytea[], $12::bytea[], $13::bytea[])
			with ordinality as b (stream, version, command, ordinal, type, data, meta, chain, n)
		where (select incarnation from partition where partition = $1::integer order by life desc limit 1) = $3::uuid
			and coalesce(` + sqlNewestChain + `, '') = $4::bytea`

	// $2 is the chain of the batch's last event: rows are written only if that was stored.
	sqlUpsert = `insert into state (partition, stream, version, position, fold, data)
		select $1::integer, stream, version, position, fold, data
		from unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[]) as b (stream, version, position, fold, data)
		where ` + sqlNewestChain + ` = $2::bytea
		on conflict (partition, stream) do update
		set version = excluded.version, position = excluded.position, fold = excluded.fold, data = excluded.data
		where state.position <= excluded.position`
)

// lockClass is the first key of the advisory locks of writers, the partition the second. Relays use another.
const lockClass = 0x0b01e
