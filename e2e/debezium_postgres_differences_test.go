package e2e

// Parts of paths: a row's column, also in a message with its schema.
const (
	inRow    = `value\.(payload\.)?(before|after)\.`
	inSchema = `value\.schema\.fields\[(before|after)\]\.fields`
	nothing  = `$^`
)

// postgresDifferences are those of sources of PostgreSQL.
var postgresDifferences = []debeziumDifference{
	{
		Name:       "No run in the headers",
		Debezium:   "The header `__debezium.context.runId` has an id that is new with every start.",
		Ours:       "It is left out: a change is the same message whenever it is sent.",
		Everywhere: true,
		Applies:    anyOf(where{Path: `headers\.__debezium\.context\.runId`, Ours: nothing}),
	},
	{
		Name:       "One id for a transaction",
		Debezium:   "The LSN in a transaction's id is that of each event, so that `BEGIN`, `END` and the changes of one transaction have different ids.",
		Ours:       "The id is the transaction's number and the LSN of its commit, the same in all its messages.",
		Everywhere: true,
		Applies:    anyOf(where{Path: "the id of BEGIN", Recorded: "false", Ours: "true"}),
	},
	{
		Name:     "Marks of the first copy",
		Debezium: "The last row of each table is marked `last_in_data_collection`, which hides the mark of a first row.",
		Ours:     "Tables are copied side by side and a table's last row is not known before the end. The copy's first row is `first`, a table's first `first_in_data_collection`, the copy's last `last`, all others `true`.",
		Applies:  anyOf(where{Path: `value\.(payload\.)?source\.snapshot`, Recorded: `"(last_in_data_collection|first_in_data_collection|last|true)"`, Ours: `"(first|true|first_in_data_collection|last)"`}),
	},
	{
		Name:     "Null in a column with a default",
		Debezium: "An explicit null comes out as the column's default, and the schema has the default.",
		Ours:     "Null is null. Defaults of columns are not part of the log, so schemas have none.",
		Applies: anyOf(
			where{Topic: `srv\.public\.defaults`, Path: inRow + `(n|i|v|ts)`, Ours: `null`},
			where{Topic: `srv\.public\.defaults`, Path: inRow + `nn`, Recorded: `3`, Ours: `0`},
			where{Path: inSchema + `\[\w+\]\.default`, Ours: nothing},
		),
	},
	{
		Name:     "Large values that an update leaves as they are",
		Debezium: "Columns that are stored out of line and were not changed are `__debezium_unavailable_value`; with `binary.handling.mode=base64` a bytea is null.",
		Ours:     "The value is there: the log completes rows.",
		Applies:  anyOf(where{Step: `toast (update|pk change).*`, Path: inRow + `(t|bb|ta\[0\]|jb)`, Recorded: `"__debezium_unavailable_value"|"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="|null`}),
	},
	{
		Name:     "No tombstone without a key",
		Debezium: "A delete in a table without a key is followed by a message whose key and value are both null.",
		Ours:     "There is none: no reader can tell by it what was deleted, and compacted topics refuse it.",
		Applies:  anyOf(where{Step: `no primary key delete`, Path: `message`, Recorded: `null null`, Ours: nothing}),
	},
	{
		Name:     "Replica identity by an index",
		Debezium: "The key is the primary key although deletes do not have it: they carry 0, and nothing ties them to their rows.",
		Ours:     "The key is the columns of the index, which every change has.",
		Applies: anyOf(
			where{Topic: `srv\.public\.ri_index`, Path: `key\..*`},
			where{Topic: `srv\.public\.ri_index`, Path: `headers\.__debezium\.(new|old)key\..*`},
		),
	},
	{
		Name:     "Partitions",
		Debezium: "By its default, a row is published under the name of the partition that holds it; one that moves to another is deleted and made.",
		Ours:     "Rows are published under the partitioned table's name. A publication that is made without `publish_via_partition_root` and named by `--publication` gives Debezium's way.",
		Applies: anyOf(
			where{Topic: `srv\.public\.part(_[12])?`, Path: `message`},
			where{Step: `partitioned.*`, Topic: `srv\.transaction`, Path: `value\.data_collections\[public\.part(_[12])?\]\..*`},
		),
	},
	{
		Name:     "Tables made later",
		Debezium: "A table that is made while the connector runs is captured at once.",
		Ours:     "It is reported as not captured until `cdc resolve SOURCE --recopy TABLE` adds it, rows that it has by then included.",
		Applies: anyOf(
			where{Topic: `srv\.public\.later`, Path: `message`, Ours: nothing},
			where{Step: `insert into table created after start`, Topic: `srv\.transaction`, Path: `message`, Ours: nothing},
		),
	},
	{
		Name:     "A table that was rewritten",
		Debezium: "`ALTER TABLE … ALTER COLUMN … TYPE` changes stored rows without an event; readers keep the old values.",
		Ours:     "The table is copied again, as rows of op `r` marked `incremental`. Changes that are made before the copy begins are in its rows.",
		Applies: anyOf(
			where{Step: `change column type|drop column|change replica identity|drop table`, Topic: `srv\.public\.bench`, Op: `[curd]`, Path: `message`},
			where{Step: `change column type|drop column|change replica identity`, Topic: `srv\.transaction`, Path: `message`},
		),
	},
	{
		Name:     "Data collection of logical messages",
		Debezium: "The transaction topic names them by the Java object that held them.",
		Ours:     "They count for the collection `message`.",
		Applies:  anyOf(where{Step: `logical message.*`, Topic: `srv\.transaction`, Path: `value\.data_collections\[(io\.debezium\..*|message)\]\..*`}),
	},
	{
		Name:     "Columns that Debezium leaves out",
		Debezium: "Columns of type `box`, `circle`, `pg_lsn`, `jsonpath`, of multiranges, composites and arrays of them, and others that it does not know, are absent.",
		Ours:     "They are strings (arrays of strings), as PostgreSQL prints them.",
		Strict:   true,
		Applies: anyOf(
			where{Topic: `srv\.public\.edge`, Path: inRow + `(mr|c|bx|cr|lsn|jp)`, Recorded: nothing},
			where{Topic: `srv\.public\.edge`, Path: inSchema + `\[(mr|c|bx|cr|lsn|jp)\]\..*`, Recorded: nothing},
		),
	},
	{
		Name:     "Arrays of composites",
		Debezium: "They are absent.",
		Ours:     "They are arrays of strings, also in strict mode: the log does not tell them from arrays of enums.",
		Applies: anyOf(
			where{Topic: `srv\.public\.edge`, Path: inRow + `ca(\[\d\])?`, Recorded: nothing},
			where{Topic: `srv\.public\.edge`, Path: inSchema + `\[ca\]\..*`, Recorded: nothing},
		),
	},
	{
		Name:     "Columns of type name",
		Debezium: "The first copy has them; in the stream they are null.",
		Ours:     "They are always there.",
		Applies:  anyOf(where{Topic: `srv\.public\.edge`, Path: inRow + `nm`, Recorded: `null`}),
	},
	{
		Name:     "Labels of enums",
		Debezium: "The schema of an enum lists its labels in the parameter `allowed`, also for elements of arrays.",
		Ours:     "The list is empty, and elements of arrays are plain strings: the log keeps values and not what a column might have held.",
		Applies: anyOf(
			where{Path: inSchema + `\[e\]\.parameters\.allowed`},
			where{Path: inSchema + `\[(ea|e)\]\.items\.(optional|name|version|parameters\.allowed)`},
		),
	},
	{
		Name:     "Trailing zeros of unbounded numerics",
		Debezium: "The stream cuts the zeros at the end of a numeric without precision: 3.140 has scale 2.",
		Ours:     "The scale is that of the value in the database: 3.",
		Strict:   true,
		Applies: anyOf(
			where{Topic: `srv\.public\.types`, Path: inRow + `nv\.(scale|value)`},
			where{Topic: `srv\.public\.arrays`, Path: inRow + `n\[0\]\.(scale|value)`},
		),
	},
	{
		Name:     "Negative scales",
		Debezium: "A numeric(5,-2) has scale 2046 and a value with 2,048 more digits.",
		Ours:     "It has scale 0 and precision 7, and its own value.",
		Strict:   true,
		Applies: anyOf(
			where{Topic: `srv\.public\.edge`, Path: inRow + `n52`},
			where{Topic: `srv\.public\.edge`, Path: inSchema + `\[n52\]\.parameters\.(scale|connect\.decimal\.precision)`},
		),
	},
	{
		Name:     "NaN in an array of numerics",
		Debezium: "The whole array is null.",
		Ours:     "The element is null, as Connect's decimals cannot be NaN.",
		Applies:  anyOf(where{Step: `arrays, numeric NaN`, Path: inRow + `n(\[0\])?`}),
	},
	{
		Name:     "Arrays of several dimensions",
		Debezium: "Elements are null; elements of text are the names of Java objects.",
		Ours:     "All elements are there in the order of storage, the last index running fastest: Connect's arrays have one dimension. In strict mode there is a null for each element of the first dimension.",
		Applies: anyOf(
			where{Step: `arrays, two dimensions`, Path: inRow + `i\[\d\]`},
			where{Step: `arrays, text two dimensions and lower bound`, Path: inRow + `t\[\d\]`},
			where{Topic: `srv\.public\.edge`, Path: inRow + `ia\[\d\]`},
		),
	},
	{
		Name:     "Infinite dates in the stream",
		Debezium: "`infinity` is the day -2147472692 and `-infinity` -2147472691, both long past.",
		Ours:     "They are the greatest and the smallest number of 32 bits.",
		Strict:   true,
		Applies:  anyOf(where{Path: inRow + `d`, Recorded: `-214747269[12]`, Ours: `2147483647|-2147483648`}),
	},
	{
		Name:     "Infinite dates and times in arrays",
		Debezium: "They are other days than in columns: -622191234, `+292269055-12-02T23:00:00.000000Z`.",
		Ours:     "They are the same as in columns.",
		Applies: anyOf(
			where{Topic: `srv\.public\.arrays`, Path: inRow + `d\[0\]`, Recorded: `-622191234`},
			where{Topic: `srv\.public\.arrays`, Path: inRow + `tz\[0\]`, Recorded: `"\+292269055-12-02T23:00:00.000000Z"`, Ours: `"-infinity"`},
		),
	},
	{
		Name:     "Dates of the first copy",
		Debezium: "The first copy counts days before 1582 by the Julian calendar and has other numbers for infinity than the stream.",
		Ours:     "A row is the same however it came.",
		Applies:  anyOf(where{Step: `snapshot`, Topic: `srv\.public\.edge`, Path: inRow + `(d|ts|tz)`, Recorded: `-622191234|-625821272|1001860|-210866803200000(000)?|"-4713-11-24T00:00:00.000000Z"|-62135769600000(000)?|"0000-12-29T23:59:59.500000Z"`}, where{Variant: `schemas`, Topic: `srv\.public\.edge`, Path: inRow + `d`, Recorded: `-622191234`}),
	},
	{
		Name:     "Timestamps after the year 294246",
		Debezium: "In microseconds they pass 64 bits and come out as -9223372036853775810.",
		Ours:     "They are the greatest number, 9223372036854775807. In milliseconds they fit.",
		Strict:   true,
		Applies:  anyOf(where{Path: inRow + `ts6?`, Recorded: `-9223372036853775810`, Ours: `9223372036854775807`}),
	},
	{
		Name:     "Money of the first copy",
		Debezium: "The first copy reads money as a float: beyond 2^53 cents it is rounded, and with `decimal.handling.mode=string` it has an exponent.",
		Ours:     "It is exact.",
		Applies:  anyOf(where{Step: `snapshot`, Path: inRow + `m`, Recorded: `"AIAAAAAAAADA"|"9.223372036854776E16"`}),
	},
	{
		Name:     "Order in an hstore",
		Debezium: "Its pairs stand in the order of a Java hash map.",
		Ours:     "They stand in the order in which PostgreSQL prints them.",
		Applies:  anyOf(where{Path: inRow + `hs`, Recorded: `"\{\\"k 1\\":.*`, Ours: `"\{\\"n\\":null,\\"k 1\\":.*`}),
	},
	{
		Name:     "Digits of floats",
		Debezium: "Java before 19 prints more digits than needed of a few floats: 1.17549435E-38.",
		Ours:     "Floats have the fewest digits that are read back as the same float, as in later Javas.",
		Applies:  anyOf(where{Path: inRow + `r`, Recorded: `1.17549435E-38`, Ours: `1.1754944E-38`}),
	},
}
