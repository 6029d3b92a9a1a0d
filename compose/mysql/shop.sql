-- A small warehouse, and an account that may do no more than capture needs.
CREATE USER 'cdc'@'%' IDENTIFIED BY 'cdc';
GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'cdc'@'%';
GRANT SELECT ON `warehouse`.* TO 'cdc'@'%';

CREATE TABLE parcels (
    id bigint UNSIGNED PRIMARY KEY AUTO_INCREMENT,
    order_id bigint NOT NULL,
    weight decimal(8,3) NOT NULL,
    sent_at datetime(6)
);
INSERT INTO parcels (order_id, weight) VALUES (1, 0.5), (2, 1.25), (3, 12);
