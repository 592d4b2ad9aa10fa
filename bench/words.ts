const words = `the to and a of in is for that it on with you this was be at have not are from by as we or an will my your
  can if there all one our but they when which order what please so up out would no time about me do more her has their
  been some just delivery them like him new its who now then only could his after than into other any how may over these
  two very where also day invoice customer before should way get back through first last here thanks most good us need
  still know being many see much even because made well such between long work year own same while those both each off
  down another since long price address payment today week week account number send sent received return returned shop
  product item items size colour refund discount question answer problem help support reply message attached document
  contract offer quote request meeting schedule tomorrow yesterday morning afternoon evening weekend january march june
  september december warehouse parcel courier tracking damaged missing broken wrong replacement warranty service repair
  team manager office project report review update change version release test server database backup restore table
  network email phone call website page link login password error failed working fixed ready waiting pending approved
  cancelled confirmed blue green red black white small large medium heavy light fast slow early late kind regards sincerely
  dear hello morning yours possible available urgent important different better best cheaper expensive free extra total
  balance bank transfer card credit debit euro dollar tax amount monthly yearly subscription renewal trial cancel upgrade`;

/** 256 words, the common ones first. */
export const vocabulary: readonly string[] = words.split(/\s+/).slice(0, 256);

export const givenNames =
  `Anna Ben Clara David Elena Farid Greta Hugo Ines Jonas Katrin Liam Maria Noah Olga Paul Rania Sofia
  Tomas Ursula Viktor Wanda Xenia Yusuf Zoe Amelie Boris Chiara Dmitri Esther Felix Gustav Hana Igor Julia Kemal`.split(
    /\s+/,
  );

export const familyNames =
  `Albrecht Baker Costa Dubois Eriksen Fischer Garcia Hansen Ivanova Jansen Kowalski Lehmann Moreau
  Novak Okafor Petrov Quinn Rossi Schmidt Tanaka Urban Vogel Weber Xu Yilmaz Zimmermann Andersen Brandt Castro Duarte
  Eklund Ferrari Gruber Horvat Ibrahim Jensen`.split(/\s+/);

export const cities =
  `Aarhus Basel Bergen Bologna Bordeaux Bremen Brno Cork Dresden Gdansk Ghent Graz Groningen Hamburg Krakow
  Leeds Linz Ljubljana Lyon Malmo Munich Nantes Naples Oslo Porto Prague Riga Rotterdam Seville Split Tartu Turin Turku
  Utrecht Valencia Vienna Vilnius Warsaw Zagreb Zurich`.split(/\s+/);

export const streets =
  `Birch Bridge Canal Castle Cedar Chapel Cherry Church Garden Harbour High Hill Lake Linden Market Meadow
  Mill Oak Orchard Park River School Station Tower Valley Willow`.split(/\s+/);
