-- One more day in the shop's life, at the shop's time, so that the demo is the same on every day.
SELECT set_config('shop.now', '2026-09-20 18:00Z', false);

INSERT INTO crm.customers (name, email, newsletter, created_at)
SELECT 'Visitor ' || i, 'visitor' || i || '@example.org', i % 3 = 0, timestamptz '2026-09-20 06:00Z' + i * interval '13 minutes'
  FROM generate_series(1, 45) i;
UPDATE crm.customers SET preferences = preferences || '{"theme": "dark"}' WHERE id % 100 = 7 AND created_at >= '2026-06-01';

INSERT INTO sales.orders (customer_id, status, placed_at, updated_at)
SELECT 1 + (i * 7) % (SELECT max(id) FROM crm.customers), 'new', at, at
  FROM (SELECT i, timestamptz '2026-09-20 07:00Z' + i * interval '4 minutes' AS at FROM generate_series(1, 150) i) placed;
INSERT INTO sales.order_items
SELECT o.id, 1, p.id, 1, p.price
  FROM sales.orders o JOIN catalog.products p ON p.id = 1 + o.id % 800
 WHERE o.placed_at >= '2026-09-20 07:00Z' AND o.status = 'new';

-- What was ordered last week moves on, now and then something comes back.
UPDATE sales.orders SET status = 'shipped' WHERE status = 'paid' AND placed_at >= '2026-09-12';
UPDATE sales.orders SET status = 'delivered' WHERE status = 'shipped' AND placed_at BETWEEN '2026-09-05' AND '2026-09-12';
UPDATE sales.orders SET status = 'returned' WHERE id % 100 = 11 AND placed_at >= '2026-08-25';

UPDATE catalog.products SET price = round(price * 1.05, 2) WHERE sku BETWEEN 'HF-000400' AND 'HF-000440';
UPDATE catalog.products SET stock = stock + 40 WHERE sku BETWEEN 'HF-000720' AND 'HF-000800' AND stock < 100;
DELETE FROM crm.addresses WHERE kind = 'shipping' AND customer_id % 4000 = 9;

INSERT INTO analytics.events (at, kind, session, payload)
SELECT timestamptz '2026-09-20 00:00Z' + i * interval '100 seconds', 'view', md5('today ' || i / 7),
       jsonb_build_object('path', '/p/' || 1 + i % 800, 'ms', 20 + i % 900)
  FROM generate_series(1, 800) i;

REFRESH MATERIALIZED VIEW analytics.monthly_revenue;
