-- A fixed seed makes every run the same.
SELECT setseed(0.20260920);

CREATE FUNCTION pg_temp.below(count integer) RETURNS integer LANGUAGE sql VOLATILE AS
  $$ SELECT 1 + floor(random() * count)::integer $$;
CREATE FUNCTION pg_temp.one(choices text[]) RETURNS text LANGUAGE sql VOLATILE AS
  $$ SELECT choices[1 + floor(random() * cardinality(choices))::integer] $$;

CREATE TEMP TABLE word AS SELECT
  '{Ada,Alice,Amir,Anna,Ayşe,Björn,Carlos,Chloé,Daniel,Eleni,Emil,Fatima,Freya,Giulia,Hana,Hugo,Ines,Ivan,Jakub,Jana,José,Kaito,Lars,Léa,Liam,Lucía,Łukasz,Maja,Malik,Marta,Mateo,Mei,Mila,Noah,Nora,Oskar,Priya,Rosa,Sofia,Tomáš,Yara,Zoë}'::text[] AS first,
  '{Andersen,Bianchi,Costa,Dubois,Eriksson,Fischer,García,Hansen,Ivanova,Jansen,Kowalski,Larsen,Martin,Nakamura,Novák,O''Brien,Papadopoulos,Petrov,Rossi,Santos,Schmidt,Silva,Singh,Smith,Tanaka,Urban,Virtanen,Weber,Yılmaz,Zhang}'::text[] AS last,
  '{Amsterdam,Athens,Barcelona,Berlin,Bern,Brno,Copenhagen,Dublin,Gdańsk,Graz,Hamburg,Helsinki,Köln,Kraków,Lisbon,Lyon,Malmö,Milan,Oslo,Porto,Praha,Roma,Sevilla,Tallinn,Utrecht,Wien,Zürich}'::text[] AS city,
  '{AT,CH,CZ,DE,DK,EE,ES,FI,FR,GR,IE,IT,NL,NO,PL,PT,SE}'::text[] AS country,
  '{Alpine,Bold,Classic,Compact,Cosy,Everyday,Foldable,Handmade,Heavy,Lightweight,Modern,Nordic,Organic,Rugged,Silent,Slim,Sturdy,Vintage,Warm,Waterproof}'::text[] AS adjective,
  '{Backpack,Blanket,Bottle,Chair,Desk,Headphones,Jacket,Kettle,Keyboard,Lamp,Mug,Notebook,Pan,Pillow,Scarf,Shelf,Speaker,Tent,Toaster,Umbrella}'::text[] AS noun,
  '{anodised,at home,built,by hand,comes,cotton,days,designed,easily,every,fits,for,from,holds,in,keeps,lasts,light,long,made,of,oak,on the road,recycled,repairable,small,soft,steel,that,the,thirty,to,warm,washable,water,weeks,with,without,wool,years}'::text[] AS filler;

CREATE FUNCTION pg_temp.sentence(words integer) RETURNS text LANGUAGE sql VOLATILE AS
  $$ SELECT string_agg(pg_temp.one((SELECT filler FROM word)), ' ') FROM generate_series(1, words) $$;

INSERT INTO crm.customers (name, email, phone, newsletter, preferences, created_at)
SELECT first || ' ' || last,
       lower(translate(first || '.' || last, 'şöéúłáëñćıŁ''', 'soeulaenciL')) || i || '@example.' || pg_temp.one('{com,net,org}'),
       CASE WHEN random() < 0.6 THEN '+49 30 ' || (100000 + pg_temp.below(899999)) END,
       random() < 0.4,
       jsonb_build_object('language', pg_temp.one('{de,en,es,fr,it,pl}'), 'currency', pg_temp.one('{EUR,CHF,PLN}'),
                          'recent', jsonb_build_array(pg_temp.below(800), pg_temp.below(800), pg_temp.below(800))),
       timestamptz '2024-01-01 08:00Z' + i * interval '4 hours 30 minutes'
FROM (SELECT i, pg_temp.one(w.first) AS first, pg_temp.one(w.last) AS last
        FROM generate_series(1, 5000) i, word w OFFSET 0) named;

INSERT INTO crm.addresses
SELECT id, kind, pg_temp.one('{Bahnhofstraße,High Street,Rue de la Gare,Via Roma,Calle Mayor,Hlavní}') || ' ' || pg_temp.below(180),
       lpad(pg_temp.below(99999)::text, 5, '0'), pg_temp.one(w.city), pg_temp.one(w.country)
FROM crm.customers, word w, unnest('{billing,shipping}'::text[]) kind
WHERE kind = 'billing' OR id % 3 = 0;

INSERT INTO catalog.categories VALUES
  (1, 'Home', NULL), (2, 'Kitchen', 1), (3, 'Bedroom', 1), (4, 'Office', NULL), (5, 'Audio', 4),
  (6, 'Outdoor', NULL), (7, 'Camping', 6), (8, 'Clothing', NULL);

INSERT INTO catalog.products (sku, name, category_id, price, stock, tags, attributes, description)
SELECT 'HF-' || lpad(i::text, 6, '0'), pg_temp.one(w.adjective) || ' ' || pg_temp.one(w.noun) || ' ' || i,
       pg_temp.below(8), 4.90 + pg_temp.below(29000) / 100.0, pg_temp.below(400),
       ARRAY[pg_temp.one('{new,sale,classic}'), pg_temp.one('{eu,local,import}')],
       jsonb_build_object('colour', pg_temp.one('{black,blue,green,grey,natural,red,white}'), 'weight_g', pg_temp.below(9000),
                          'size', jsonb_build_object('w', pg_temp.below(120), 'h', pg_temp.below(200), 'd', pg_temp.below(80))),
       pg_temp.sentence(30 + i % 40)
FROM generate_series(1, 800) i, word w;

INSERT INTO sales.orders (customer_id, status, placed_at, updated_at, note)
SELECT pg_temp.below(5000),
       pg_temp.one('{paid,shipped,delivered,delivered,delivered,delivered,delivered,returned}')::sales.order_status,
       placed, placed + interval '1 hour' * pg_temp.below(90),
       CASE WHEN i % 9 = 0 THEN pg_temp.one('{Leave it with the neighbour.,Please call before delivery.,It is a gift: no invoice in the box.,Second floor left}') END
FROM (SELECT i, timestamptz '2026-01-01 00:00Z' + i * (interval '260 days' / 15000) AS placed
        FROM generate_series(1, 15000) i) o;

INSERT INTO sales.order_items
SELECT o.id, line, p.id, 1 + (o.id * line) % 3, p.price
FROM sales.orders o, generate_series(1, 4) line, catalog.products p
WHERE line <= 1 + o.id % 4 AND p.id = 1 + (o.id * 7919 + line * 104729) % 800;

INSERT INTO sales.payments
SELECT md5('payment ' || o.id)::uuid, o.id, pg_temp.one('{card,card,invoice,paypal,sepa}'), sum(i.quantity * i.unit_price),
       o.placed_at + interval '90 seconds', jsonb_build_object('code', 'ok', 'reference', md5(o.id::text))
FROM sales.orders o JOIN sales.order_items i ON i.order_id = o.id
GROUP BY o.id;

INSERT INTO analytics.events (at, customer_id, kind, session, payload)
SELECT timestamptz '2026-01-01 00:00Z' + i * (interval '260 days' / 160000),
       CASE WHEN i % 3 > 0 THEN 1 + (i::bigint * 48271) % 5000 END,
       (ARRAY['view', 'view', 'view', 'search', 'cart', 'checkout'])[1 + i % 6],
       md5('session ' || i / 7),
       jsonb_build_object('path', '/p/' || 1 + (i::bigint * 16807) % 800, 'ms', 20 + (i::bigint * 69621) % 900,
                          'agent', (ARRAY['Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0', 'Mozilla/5.0 (iPhone) Safari/605.1',
                                          'Mozilla/5.0 (Macintosh) Chrome/141.0'])[1 + i % 3],
                          'test', CASE WHEN i % 11 = 0 THEN 'checkout-b' ELSE 'none' END)
FROM generate_series(1, 160000) i;
