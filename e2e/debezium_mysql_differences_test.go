package e2e

// binlogDifferences are those of sources of MySQL and of MariaDB.
var binlogDifferences = []debeziumDifference{
	{
		Name:       "No run in the headers",
		Debezium:   "The header `__debezium.context.runId` has an id that is new with every start.",
		Ours:       "It is left out: a change is the same message whenever it is sent.",
		Everywhere: true,
		Applies:    anyOf(where{Path: `headers\.__debezium\.context\.runId`, Ours: nothing}),
	},
	{
		Name:     "No topic of schema changes",
		Debezium: "Statements that change tables are published to the topic that has the prefix for a name.",
		Ours:     "They are not: each message has the columns of its time, and its schema where schemas are asked for.",
		Applies:  anyOf(where{Topic: `srv`, Path: `message`, Ours: nothing}),
	},
	{
		Name:     "Marks of the first copy",
		Debezium: "Rows are marked by their place: `first`, `first_in_data_collection`, `last_in_data_collection`, `last`, `true`.",
		Ours:     "All are `incremental`: tables are copied in chunks while they go on being written, as Debezium does when a signal asks it to.",
		Applies:  anyOf(where{Path: `value\.(payload\.)?source\.snapshot`, Ours: `"incremental"`}),
	},
	{
		Name:     "Null in a column with a default",
		Debezium: "An explicit null comes out as the column's default, and the schema has the default.",
		Ours:     "Null is null. Defaults of columns are not part of the log, so schemas have none.",
		Applies: anyOf(
			where{Topic: `srv\.rec\.defaults`, Path: inRow + `(n|i|v|d)`, Ours: `null`},
			where{Path: inSchema + `\[\w+\]\.default`, Ours: nothing},
		),
	},
	{
		Name:     "Fractions of a second in the first copy",
		Debezium: "A `TIMESTAMP(3)` of a whole second has three digits in the stream and none in the first copy.",
		Ours:     "It has as many digits as the column.",
		Applies:  anyOf(where{Topic: `srv\.rec\.defaults`, Path: inRow + `ts`, Recorded: `"2026-01-01T00:00:00Z"`, Ours: `"2026-01-01T00:00:00\.000Z"`}),
	},
	{
		Name:     "No tombstone without a key",
		Debezium: "A delete in a table without a key is followed by a message whose key and value are both null.",
		Ours:     "There is none: no reader can tell by it what was deleted, and compacted topics refuse it.",
		Applies:  anyOf(where{Step: `no primary key delete`, Path: `message`, Recorded: `null null`, Ours: nothing}),
	},
	{
		Name:     "The years 1 to 99",
		Debezium: "They are taken for years of two digits: 0001 becomes 2001, 0099 becomes 1999.",
		Ours:     "They are what the server has.",
		Strict:   true,
		Applies:  anyOf(where{Path: inRow + `(d|dt0|dt6)`, Recorded: `\d+`, Ours: `-\d+`}),
	},
	{
		Name:     "YEAR 0000",
		Debezium: "It is 1900.",
		Ours:     "It is 0.",
		Strict:   true,
		Applies:  anyOf(where{Path: inRow + `y`, Recorded: `1900`, Ours: `0`}),
	},
	{
		Name:     "Labels with a comma",
		Debezium: "A value of an `ENUM` whose label has a comma gains a backslash.",
		Ours:     "The value is the label. In the schema's `allowed`, where commas stand between labels, it has the backslash here, too.",
		Strict:   true,
		Applies:  anyOf(where{Path: inRow + `e`, Recorded: `"b\\\\,c"`, Ours: `"b,c"`}),
	},
	{
		Name:     "Timestamps of zeros",
		Debezium: "`TIMESTAMP '0000-00-00 00:00:00'` is 1970-01-01. Where a `DATE` or `DATETIME` that is no day cannot be null, it is 1970-01-01, too.",
		Ours:     "It is null. Where null cannot stand, the sink stops and names the column and the value.",
		Strict:   true,
		Applies:  anyOf(where{Step: `zero dates`, Path: inRow + `ts[036]`, Recorded: `"1970-01-01T00:00:00(\.0+)?Z"`, Ours: `null`}),
	},
	{
		Name:     "FLOAT(m,d)",
		Debezium: "It is a `double` of the float's bits, with digits that nobody wrote: 12345.67 becomes 12345.669921875.",
		Ours:     "It is a `float`, like any other: the log does not have the digits of the type. Its text has the digits that were written.",
		Applies: anyOf(
			where{Path: inRow + `f72`, Recorded: `[\d.]+`, Ours: `[\d.]+`},
			where{Path: inSchema + `\[f72\]\.type`, Recorded: `"double"`, Ours: `"float"`},
		),
	},
	{
		Name:     "Partial row images",
		Debezium: "With `binlog_row_image` other than `FULL` it stops.",
		Ours:     "The log completes rows. Old rows have what the server has sent; the rest is null, or the type's zero where null cannot stand.",
		Applies:  anyOf(where{Step: `(minimal|noblob) row image( delete)?`, Path: `message`, Recorded: `|.*"status":"BEGIN".*`}),
	},
	{
		Name:     "A table that was rewritten",
		Debezium: "`ALTER TABLE … MODIFY` changes stored rows without an event; readers keep the old values.",
		Ours:     "The table is copied again, as rows of op `r`.",
		Applies:  anyOf(where{Topic: `srv\.rec\.bench`, Op: `r`, Path: `message`, Recorded: nothing}),
	},
}

// mysqlDifferences are those that only sources of MySQL have.
var mysqlDifferences = []debeziumDifference{
	{
		Name:     "The text of JSON",
		Debezium: "In the stream it has no spaces; numbers beyond 2^53, decimals, times and bytes are written in Debezium's way. The first copy has the server's text.",
		Ours:     "It is always the server's text, exactly.",
		Applies:  anyOf(where{Path: inRow + `(js|payload)`}),
	},
	{
		Name:     "The first copy in strict mode",
		Debezium: "It differs from its stream: YEAR 0000 is 2000, and a label with a comma has no backslash.",
		Ours:     "They are as in Debezium's stream; without strict, as in the server.",
		Applies: anyOf(
			where{Op: `r`, Path: inRow + `y`, Recorded: `2000`, Ours: `0|1900`},
			where{Op: `r`, Path: inRow + `e`, Recorded: `"b,c"`, Ours: `"b\\\\,c"`},
		),
	},
	{
		Name:     "Partial updates of JSON",
		Debezium: "With `binlog_row_value_options=PARTIAL_JSON` an update is lost: its transaction has no event.",
		Ours:     "It is published like any other.",
		Applies: anyOf(
			where{Step: `json partial update`, Topic: `srv\.rec\.types`, Path: `message`, Recorded: nothing},
			where{Step: `json partial update`, Topic: `srv\.transaction`, Path: `value\.(event_count|data_collections.*)`},
		),
	},
	{
		Name:     "The transaction of a truncate",
		Debezium: "A change of op `t` belongs to none.",
		Ours:     "It belongs to one of its own.",
		Applies:  anyOf(where{Op: `t`, Path: `value\.transaction(\..*)?`}),
	},
}

// mariadbDifferences are those that only sources of MariaDB have.
var mariadbDifferences = []debeziumDifference{
	{
		Name:     "UUID",
		Debezium: "In the stream it is shifted by one byte: another UUID, and a key that no row has.",
		Ours:     "It is the server's.",
		Applies:  anyOf(where{Path: inRow + `u`, Recorded: `"00123e45-67e8-9b12-d3a4-564266141740"`, Ours: `"123e4567-e89b-12d3-a456-426614174000"`}),
	},
	{
		Name:     "The first copy in strict mode",
		Debezium: "It differs from its stream: a label with a comma has no backslash.",
		Ours:     "It is as in Debezium's stream; without strict, as in the server.",
		Applies:  anyOf(where{Op: `r`, Path: inRow + `e`, Recorded: `"b,c"`, Ours: `"b\\\\,c"`}),
	},
	{
		Name:     "Sequences, system-versioned tables, compressed columns, INET4 and INET6",
		Debezium: "Each of them, anywhere on the server, stops it.",
		Ours:     "They are published: compressed columns as without compression, addresses as text, the versions of a row as rows. Sequences are no tables.",
		Applies: anyOf(
			where{Topic: `srv\.rec\.(sv|comp|inet)`, Path: `message`, Recorded: nothing},
			where{Step: `system versioned|compressed column|inet[46] column`, Topic: `srv\.transaction`, Path: `message`, Recorded: nothing},
		),
	},
	{
		Name:     "Transactions of statements",
		Debezium: "A statement that changes a table has a `BEGIN` in the transaction topic, and no `END`.",
		Ours:     "It has none: a transaction without published changes is not there.",
		Applies:  anyOf(where{Topic: `srv\.transaction`, Path: `message`, Recorded: `.*"status":"BEGIN".*`, Ours: nothing}),
	},
}
