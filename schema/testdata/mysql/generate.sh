#!/bin/sh
# Writes the files beside it from what a MariaDB or MySQL server says. Arguments go to its client, e.g. --socket=/tmp/s --user=root.
set -eu
cd "$(dirname "$0")"

# q NAME TYPE PACKED REGULAR TEXT VALUES: ranks the values v by ORDER BY, once they are stored in a column of TYPE, and writes their
# rank, the number that docs/formats/row.md gives them, what they are as the kind that counts from 2000 (\N for what names no day), and
# their text.
q() {
	{
		echo "# rank in ORDER BY, packed number, days or µs since 2000, text: what the server says of these values."
		mariadb "$@" --batch --skip-column-names --raw <<-SQL
			set sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00';
			create temporary table test.q (v $type);
			insert into test.q values $values;
			select dense_rank() over (order by v), $packed, coalesce($regular, '\\\\N'), $text from test.q order by 1;
		SQL
	} >"$name.tsv"
}

date="((year(v)*13+month(v))*32+day(v))"
clock="((hour(v)*64+minute(v))*64+second(v))"
stamp="($date*131072+$clock)*16777216+microsecond(v)"
exists="year(v) > 0 and month(v) > 0 and day(v) between 1 and day(last_day(date_format(v, '%Y-%m-01')))"
micros="if($exists, timestampdiff(microsecond, '2000-01-01', v), null)"
short="trim(trailing '.' from trim(trailing '0' from v))"
days="('0000-00-00'),('0000-00-01'),('0000-01-00'),('0000-01-01'),('0000-02-29'),('0000-12-31'),('0001-00-00'),('0001-01-01'),('1000-01-01'),('1900-02-28'),('1900-02-29'),('1969-12-31'),('1970-01-01'),('1999-12-31'),('2000-00-00'),('2000-01-00'),('2000-01-01'),('2000-02-29'),('2000-02-30'),('2023-12-31'),('2024-00-00'),('2024-00-15'),('2024-00-31'),('2024-01-00'),('2024-01-01'),('2024-01-31'),('2024-02-28'),('2024-02-29'),('2024-02-31'),('2024-04-30'),('2024-04-31'),('2024-12-31'),('2025-00-00'),('9999-00-00'),('9999-12-31')"
times="('0000-00-00 00:00:00.000001'),('0000-00-00 23:59:59.999999'),('0001-01-01 00:00:00.1'),('1999-12-31 23:59:59.999999'),('2000-01-01 00:00:00.000001'),('2024-00-15 01:02:03.4'),('2024-02-29 12:34:56.789'),('2024-02-29 12:34:56.78'),('2024-02-29 12:34:56.7'),('2024-02-29 12:34:56'),('2024-02-29 12:34:57'),('2024-02-31 23:59:59'),('2024-12-31 23:59:59.100001'),('9999-12-31 23:59:59.999999')"

name=calendardate type="date" values="$days" text="v"
packed="year(v)*512+month(v)*32+day(v)" regular="if($exists, datediff(v, '2000-01-01'), null)"
q "$@"

name=calendartimestamp type="datetime(6)" values="$days,$times" text="$short" packed="$stamp" regular="$micros"
q "$@"

name=calendartimestamptz type="timestamp(6) null" text="concat($short, '+00')"
values="('0000-00-00 00:00:00'),('1970-01-01 00:00:01'),('1970-01-01 00:00:01.000001'),('1999-12-31 23:59:59.999999'),('2000-01-01 00:00:00'),('2024-02-29 12:34:56.789'),('2038-01-19 03:14:07'),('2038-01-19 03:14:07.999999')"
q "$@"

name=time type="time(6)" text="$short" packed="cast(time_to_sec(v)*1000000 as signed)" regular="cast(time_to_sec(v)*1000000 as signed)"
values="('-838:59:59.999999'),('-838:59:59.000001'),('-838:59:59'),('-100:00:00'),('-24:00:00'),('-00:00:01'),('-00:00:00.000001'),('00:00:00'),('00:00:00.000001'),('23:59:59.999999'),('24:00:00'),('99:59:59.5'),('100:00:00'),('838:59:59'),('838:59:59.000001'),('838:59:59.999999')"
q "$@"
