CREATE INDEX orders_customer ON sales.orders (customer_id, placed_at DESC);
CREATE INDEX orders_open ON sales.orders (placed_at) WHERE status IN ('new', 'paid', 'packed');
CREATE INDEX items_product ON sales.order_items (product_id);
CREATE INDEX products_attributes ON catalog.products USING gin (attributes);
CREATE INDEX events_customer ON analytics.events (customer_id);

CREATE TRIGGER touch BEFORE UPDATE ON sales.orders FOR EACH ROW EXECUTE FUNCTION sales.touch();
CREATE TRIGGER remember_price AFTER UPDATE OF price ON catalog.products
  FOR EACH ROW WHEN (OLD.price IS DISTINCT FROM NEW.price) EXECUTE FUNCTION catalog.remember_price();

CREATE VIEW sales.open_orders AS
  SELECT o.id, o.invoice, c.name, c.email, o.status, sales.order_total(o.id) AS total
    FROM sales.orders o JOIN crm.customers c ON c.id = o.customer_id
   WHERE o.status IN ('new', 'paid', 'packed');

CREATE MATERIALIZED VIEW analytics.monthly_revenue AS
  SELECT date_trunc('month', o.placed_at AT TIME ZONE 'UTC')::date AS month, p.category_id,
         sum(i.quantity * i.unit_price) AS revenue, count(DISTINCT o.id) AS orders
    FROM sales.orders o JOIN sales.order_items i ON i.order_id = o.id JOIN catalog.products p ON p.id = i.product_id
   GROUP BY 1, 2;
CREATE UNIQUE INDEX monthly_revenue_key ON analytics.monthly_revenue (month, category_id);

ALTER TABLE crm.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY support_sees_all ON crm.customers FOR SELECT TO shop_app USING (true);

GRANT USAGE ON SCHEMA crm, catalog, sales TO shop_app;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA crm, catalog, sales TO shop_app;
GRANT SELECT ON analytics.monthly_revenue TO shop_app;
