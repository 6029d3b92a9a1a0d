-- A small shop, and a role that may do no more than capture needs: log in, replicate, and read.
CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'cdc';

CREATE TABLE customers (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL
);
CREATE TABLE orders (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    customer_id bigint NOT NULL REFERENCES customers,
    total numeric(10,2) NOT NULL,
    status text NOT NULL DEFAULT 'new',
    placed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO customers (name) SELECT 'customer ' || i FROM generate_series(1, 100) i;

GRANT USAGE ON SCHEMA public TO cdc;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO cdc;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO cdc;
-- The owner of the tables makes the publication, so that cdc need not own them.
CREATE PUBLICATION cdc FOR TABLE customers, orders WITH (publish_via_partition_root = true);

-- What the shop does five times a second in try-it.yaml.
CREATE PROCEDURE shop_step() LANGUAGE sql AS $$
    INSERT INTO orders (customer_id, total) VALUES (1 + floor(random() * 100)::bigint, round((5 + random() * 200)::numeric, 2));
    UPDATE orders SET status = 'paid' WHERE id = (SELECT id FROM orders WHERE status = 'new' ORDER BY random() LIMIT 1);
    DELETE FROM orders WHERE status = 'paid' AND placed_at < now() - interval '10 minutes';
$$;
