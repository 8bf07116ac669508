BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE calendar (
	address VARCHAR NOT NULL, 
	cursor VARCHAR, 
	due_at BIGINT, 
	full_at BIGINT, 
	size INTEGER NOT NULL, 
	holder VARCHAR, 
	held_until BIGINT, 
	CONSTRAINT pk_calendar PRIMARY KEY (address)
);
INSERT INTO "calendar" VALUES('dana@corp.example','28',1791523800,1791180000,9,NULL,NULL);
CREATE TABLE commitment (
	id VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	session VARCHAR NOT NULL, 
	owner VARCHAR NOT NULL, 
	due DATE NOT NULL, 
	recorded_at BIGINT NOT NULL, 
	standing VARCHAR NOT NULL, 
	closed_at BIGINT, 
	block_start BIGINT, 
	block_end BIGINT, 
	all_day BOOLEAN NOT NULL, 
	by_hand BOOLEAN NOT NULL, 
	dismissed BOOLEAN NOT NULL, 
	generation INTEGER NOT NULL, 
	sequence INTEGER NOT NULL, 
	sealed BLOB, 
	CONSTRAINT pk_commitment PRIMARY KEY (id), 
	CONSTRAINT fk_commitment_pair FOREIGN KEY(pair) REFERENCES pair (id), 
	CONSTRAINT fk_commitment_session FOREIGN KEY(session) REFERENCES session (id)
);
INSERT INTO "commitment" VALUES('p1v5o61b7m691','dana@corp.example>sam@corp.example','c1su18d5v9s3c','manager','2026-11-04',1791180000,'open',NULL,1793694600,1793696400,0,0,0,1,1,X'67414141414142724442784868447279642D365766334A584355477455707A684332704F2D534C5946536969787A416C324764574B735A735647312D6948516D3546663441394D36546547686B363478537444484342534B776C4742467368465A516542444E723546314975734D69703461587A647273304C544B53585A38676D516F335438706D624E49506144596A677277637A5F59354D567639677037737935746F686B6B594B4E417170546F6E6E696C43564C72395361304E613939316447614B4D7366634437584A4A37503876342D41366F49794662306D6461544A31324678673765667562787945687156575F58457654383D');
INSERT INTO "commitment" VALUES('pom804b71s4j','dana@corp.example>sam@corp.example','c1su18d5v9s3c','report','2026-11-04',1791180000,'open',NULL,NULL,NULL,0,0,0,1,0,X'674141414141427244427848516647357A4A594A646B556D7733677634587761486E5F6B4138556C344472386F4F5A4D7573354C6E6D7452634F6E516B33397772726349576E414361735F67383179424365667A776C6E774936747A356F50507439774C5831555F5332526137794F3047315A54324E44377343654B72615A453477777A775F387666784E4177786C486165594C4D386846484436722D4F71376D39414C4B6F52586832444C4463646E664E2D5A41316453574979756A4F39497158623550423367475579304A5A64305A654A6172635561586730504B796E5F5F773D3D');
INSERT INTO "commitment" VALUES('pk7ui9hdtefj','dana@corp.example>lee@corp.example','ckvoil63g4gq','manager','2026-11-04',1791180000,'open',NULL,1793692800,1793694600,0,0,0,1,1,X'6741414141414272444278485F466F707966584B666C6452577968363752514B6F4D2D62534A797930553251586A7831622D4F555A4634644257716955476B684276745566426B6C3338586F463863536130374F585679687251706C4D7237396F4B507838717569637064767536644774575F6E554D6C6B6D4933794277436D736F63416E42396F674A7A304E36746379635445316F6B735332455639374C716B795A6E465F5A503835726F64436B6E37344955485561315362726232517A63766A72373854724850494D4462515673796A5459742D454554435649396D6A6F44413D3D');
INSERT INTO "commitment" VALUES('pius4fkegorv','dana@corp.example>lee@corp.example','ckvoil63g4gq','report','2026-11-04',1791180000,'open',NULL,NULL,NULL,0,0,0,1,0,X'6741414141414272444278486B4C517A7470486151764F746A795F3876773445575A445454756135536956664734714946784A2D773175627358646A5839515946506B794D6C4D77637431736941597830423673523342596641576E685A396636336F6F79536A5730764C576859466E6D536A4D713775496C36653259536930416553414E574F394C345051643454566C4961496A424668756B463346795574366D3244535A537846664147357A45516E307549645A666F436570312D57544E6D546155362D6B6A7168716E49636B5A493656613535425548334F31575A503159773D3D');
CREATE TABLE contract (
	session VARCHAR NOT NULL, 
	revision INTEGER NOT NULL, 
	pair VARCHAR NOT NULL, 
	recorded_at BIGINT NOT NULL, 
	sealed BLOB NOT NULL, 
	CONSTRAINT pk_contract PRIMARY KEY (session, revision), 
	CONSTRAINT fk_contract_session FOREIGN KEY(session) REFERENCES session (id)
);
INSERT INTO "contract" VALUES('c1su18d5v9s3c',1,'dana@corp.example>sam@corp.example',1791180000,X'6741414141414272444278484B34675F684330483269534F43744530654237775F4F637561353871704233303965694331686153426751564E7257557371526A4F344F306632706F3976344D774746456462447754794277674B596B4C4B5744327A6D664E67356B425548542D653163744D594D32376279775277655F37545536694B49454E643839573866484D52544A766967647044496634376B346571516D6254314177476F6873673543396A6D3567706146626656764331615A784D30566155353075717538696874573554796C7561587365374F546E585F4C46545F6E2D646A4B4B72437044394C4C4E4E316B496F555370665456366A74666649727342376A634B4E6167756B42654869526D455F4E4A48486D644E714B615358474775446F415965457771756D4C6C6F5F5264594F47483177686F534D75456F684E683862424C476F424538552D4171336553695933436C4E5F3437455A626F5A7977594E587647515073636D7366726851434C734F43475256485462432D3063495F6A54385355646C52633943566639683035775A472D454D375053655741362D2D57664C52494B53514A366F6C316D77776C423264657874734F49314551493568646552534C69715A6279544654616637626C496D366C703243725179693538694E7A30617756705F30716F724E515344697A764257345355645169684F79326F74346F4176746B65636C56713956544F716B336F567157364C6535663339796F5F613766466A4873493079366432415A5342794D6E4D774B6372484165676F31394C5866746C566B4262');
INSERT INTO "contract" VALUES('ckvoil63g4gq',1,'dana@corp.example>lee@corp.example',1791180000,X'6741414141414272444278484F6C6F6633395154675471574437754B4C716D4E346B483437664E755334736D61725A744E766F4F7A466D646F72576850433168686538555A336B47582D6F6C6951564D577378325F5565575270675478576974514B756D71706D6542426F4243644E52493748617852365A4F3269736C53344E7144666F76493258626431466346506C43354F6D48687162742D6E6A393774704D5578714253717166564D4D415841444865377A4E456B68425A4D694F707435736C483473334F4B6B737A65566B3861526E6446496F4E6C6B7974563656715266433466454F504154745A2D4B693973536175757A4D627178746C7145486A6B66713861587A417456314A494D68554B5250775262363252784E61557539665F455069376A59703852656C394A53597242516D6F68746363454F416D4F6C536C785F634F30346775417867654E685A376D43363036654B696848767A394E4345445442585F3954644F3970684C674B754D355F3752337232424534534F6D4A736573445154774B74315A627A4A5057326A723153366E677758434D7964466A446133325A33305F665461435771665379515A526A516533473961516D307A3663617A324F3171504E32305F6449517372663567584A7A396D743145785A5435596963504E67477063516A36352D6C70776B67634B2D3146445077724779556B4B50664F6C306642516351504133695A6B31746C79724464416F45656E2D2D7A634F78535A4365754B66363857374857333541746A78726E635335347976586E514E5965694D72764D772D4E78');
CREATE TABLE deferral (
	session VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	cause VARCHAR NOT NULL, 
	who VARCHAR NOT NULL, 
	was_start BIGINT, 
	was_end BIGINT, 
	CONSTRAINT pk_deferral PRIMARY KEY (session, number), 
	CONSTRAINT fk_deferral_session FOREIGN KEY(session) REFERENCES session (id)
);
INSERT INTO "deferral" VALUES('c1i4r87e06hv2',1,1791266400,'declined','max@corp.example',1798012800,1798017300);
INSERT INTO "deferral" VALUES('c1i4r87e06hv2',2,1791270000,'declined','max@corp.example',1791442800,1791447300);
INSERT INTO "deferral" VALUES('rcfu9qs573uo',1,1791374400,'declined','sam@corp.example',1793174400,1793175900);
INSERT INTO "deferral" VALUES('c1cvj8hl0t6nb',1,1791437400,'declined','kim@corp.example',1791878400,1791882900);
CREATE TABLE event (
	"key" VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	calendar VARCHAR NOT NULL, 
	provider_id VARCHAR NOT NULL, 
	etag VARCHAR NOT NULL, 
	start BIGINT NOT NULL, 
	"end" BIGINT NOT NULL, 
	written_start BIGINT NOT NULL, 
	written_end BIGINT NOT NULL, 
	sequence INTEGER NOT NULL, 
	gone BOOLEAN NOT NULL, 
	answers JSON NOT NULL, proposed JSON DEFAULT '{}' NOT NULL, 
	CONSTRAINT pk_event PRIMARY KEY ("key")
);
INSERT INTO "event" VALUES('c1dtemorpvi1k.1','c1dtemorpvi1k','dana@corp.example>ana@corp.example','dana@corp.example','e1','2',1790578800,1790583300,1790578800,1790583300,1,0,'{"ana@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('c1ifrv6oqm433.1','c1ifrv6oqm433','dana@corp.example>kim@corp.example','dana@corp.example','e2','2',1790668800,1790673300,1790668800,1790673300,1,0,'{"kim@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('ccfr8pemnhhq.1','ccfr8pemnhhq','dana@corp.example>kim@corp.example','dana@corp.example','e3','2',1791273600,1791278100,1791273600,1791278100,1,0,'{"kim@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('c1cvj8hl0t6nb.1','c1cvj8hl0t6nb','dana@corp.example>kim@corp.example','dana@corp.example','e4','4',1791792000,1791796500,1791792000,1791796500,2,0,'{"kim@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('ckvoil63g4gq.1','ckvoil63g4gq','dana@corp.example>lee@corp.example','dana@corp.example','e5','2',1788937200,1788941700,1788937200,1788941700,1,0,'{"lee@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('c1t502lik53mi.1','c1t502lik53mi','dana@corp.example>max@corp.example','dana@corp.example','e6','2',1790146800,1790151300,1790146800,1790151300,1,0,'{"max@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('c1su18d5v9s3c.1','c1su18d5v9s3c','dana@corp.example>sam@corp.example','dana@corp.example','e7','2',1790751600,1790756100,1790751600,1790756100,1,0,'{"sam@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('c1ndu3n5ovh1i.1','c1ndu3n5ovh1i','dana@corp.example>lee@corp.example','dana@corp.example','e8','2',1793779200,1793783700,1793779200,1793783700,1,0,'{"lee@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('rtp114vg0a2j.1','rtp114vg0a2j','dana@corp.example>lee@corp.example','dana@corp.example','e9','2',1791356400,1791357900,1791356400,1791357900,1,0,'{"lee@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('c1i4r87e06hv2.1','c1i4r87e06hv2','dana@corp.example>max@corp.example','dana@corp.example','e10','6',1791447300,1791451800,1791447300,1791451800,3,0,'{"max@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('c1jlopv7qb0fk.1','c1jlopv7qb0fk','dana@corp.example>ana@corp.example','dana@corp.example','e11','2',1798444800,1798449300,1798444800,1798449300,1,0,'{"ana@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('cmb00btj8t5j.1','cmb00btj8t5j','dana@corp.example>sam@corp.example','dana@corp.example','e12','2',1798617600,1798622100,1798617600,1798622100,1,0,'{"sam@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('r1ekd57eqsmuf.1','r1ekd57eqsmuf','dana@corp.example>max@corp.example','dana@corp.example','e13','2',1792566000,1792567500,1792566000,1792567500,1,0,'{"max@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('r18jfq5vsvesv.1','r18jfq5vsvesv','dana@corp.example>max@corp.example','dana@corp.example','e14','2',1795420800,1795422300,1795420800,1795422300,1,0,'{"max@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('pk7ui9hdtefj.1','pk7ui9hdtefj','dana@corp.example>lee@corp.example','dana@corp.example','e15','2',1793692800,1793694600,1793692800,1793694600,1,0,'{}','{}');
INSERT INTO "event" VALUES('rcfu9qs573uo.1','rcfu9qs573uo','dana@corp.example>sam@corp.example','dana@corp.example','e16','4',1791788400,1791789900,1791788400,1791789900,2,0,'{"sam@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('r1951g544cnuf.1','r1951g544cnuf','dana@corp.example>sam@corp.example','dana@corp.example','e17','2',1796025600,1796027100,1796025600,1796027100,1,0,'{"sam@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('p1v5o61b7m691.1','p1v5o61b7m691','dana@corp.example>sam@corp.example','dana@corp.example','e18','2',1793694600,1793696400,1793694600,1793696400,1,0,'{}','{}');
INSERT INTO "event" VALUES('regu31at32vo.1','regu31at32vo','dana@corp.example>ana@corp.example','dana@corp.example','e19','2',1793177100,1793178600,1793177100,1793178600,1,0,'{"ana@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('rhq6a0h9ug4j.1','rhq6a0h9ug4j','dana@corp.example>ana@corp.example','dana@corp.example','e20','2',1796028300,1796029800,1796028300,1796029800,1,0,'{"ana@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('c22lhvqjh2sk.1','c22lhvqjh2sk','dana@corp.example>lee@corp.example','dana@corp.example','e21','2',1791529200,1791533700,1791529200,1791533700,1,0,'{"lee@corp.example": "needs_action"}','{}');
INSERT INTO "event" VALUES('cb6ofe95h0a8.1','cb6ofe95h0a8','dana@corp.example>max@corp.example','dana@corp.example','e22','2',1799222400,1799226900,1799222400,1799226900,1,0,'{"max@corp.example": "needs_action"}','{}');
CREATE TABLE fact (
	name VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	CONSTRAINT pk_fact PRIMARY KEY (name)
);
INSERT INTO "fact" VALUES('people','as of 2026-09-07 06:00:00+00:00');
CREATE TABLE gate (
	name VARCHAR NOT NULL, 
	room INTEGER NOT NULL, 
	holder VARCHAR NOT NULL, 
	held_until BIGINT NOT NULL, 
	CONSTRAINT pk_gate PRIMARY KEY (name, room)
);
CREATE TABLE history (
	id INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	what VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	session VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	fields JSON NOT NULL, 
	CONSTRAINT pk_history PRIMARY KEY (id)
);
INSERT INTO "history" VALUES(1,1788760800,'session','dana@corp.example>ana@corp.example','c1dtemorpvi1k','Mon 28 Sep is the target day. It starts at 09:00 for both. 48 hours later it is Wednesday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "all", "start": "2026-09-28T07:00:00Z", "end": "2026-09-28T08:15:00Z", "count": 0, "key": "c1dtemorpvi1k.1"}');
INSERT INTO "history" VALUES(2,1788760800,'session','dana@corp.example>kim@corp.example','c1ifrv6oqm433','Tue 29 Sep is 1 day after the target, Mon 28 Sep. It starts at 10:00 for Dana and 09:00 for Kim. 48 hours later it is Thursday, a weekday on which Dana works. Dana has 1 other career session that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "now", "start": "2026-09-29T08:00:00Z", "end": "2026-09-29T09:15:00Z", "count": 0, "key": "c1ifrv6oqm433.1"}');
INSERT INTO "history" VALUES(3,1788760800,'session','dana@corp.example>kim@corp.example','ccfr8pemnhhq','Tue 6 Oct is the target day. It starts at 10:00 for Dana and 09:00 for Kim. 48 hours later it is Thursday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "direction", "start": "2026-10-06T08:00:00Z", "end": "2026-10-06T09:15:00Z", "count": 0, "key": "ccfr8pemnhhq.1"}');
INSERT INTO "history" VALUES(4,1788760800,'session','dana@corp.example>kim@corp.example','c1cvj8hl0t6nb','Tue 13 Oct is the target day. It starts at 10:00 for Dana and 09:00 for Kim. 48 hours later it is Thursday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "gap", "start": "2026-10-13T08:00:00Z", "end": "2026-10-13T09:15:00Z", "count": 0, "key": "c1cvj8hl0t6nb.1"}');
INSERT INTO "history" VALUES(5,1788760800,'session','dana@corp.example>lee@corp.example','ckvoil63g4gq','Wed 9 Sep is 135 days after the target, Mon 27 Apr. It starts at 09:00 for both. 48 hours later it is Friday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "all", "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "count": 0, "key": "ckvoil63g4gq.1"}');
INSERT INTO "history" VALUES(6,1788760800,'session','dana@corp.example>max@corp.example','c1t502lik53mi','Wed 23 Sep is 5 days before the target, Mon 28 Sep. It starts at 09:00 for both. 48 hours later it is Friday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "all", "start": "2026-09-23T07:00:00Z", "end": "2026-09-23T08:15:00Z", "count": 0, "key": "c1t502lik53mi.1"}');
INSERT INTO "history" VALUES(7,1788760800,'session','dana@corp.example>sam@corp.example','c1su18d5v9s3c','Wed 30 Sep is 2 days after the target, Mon 28 Sep. It starts at 09:00 for both. 48 hours later it is Friday, a weekday on which Dana works. Dana has 2 other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "all", "start": "2026-09-30T07:00:00Z", "end": "2026-09-30T08:15:00Z", "count": 0, "key": "c1su18d5v9s3c.1"}');
INSERT INTO "history" VALUES(8,1788760800,'event.create','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','{"kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["ana@corp.example"], "start": "2026-09-28T07:00:00Z", "end": "2026-09-28T08:15:00Z", "key": "c1dtemorpvi1k.1"}');
INSERT INTO "history" VALUES(9,1788760800,'mail','dana@corp.example>ana@corp.example','','','{"message": "introduction", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<642088c6b2e21d61c8a1bf93b056408f@corp.example>"}');
INSERT INTO "history" VALUES(10,1788760800,'mail','dana@corp.example>ana@corp.example','','','{"message": "introduction", "to": "ana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<c7259485759eee6eec89cdcbeb09e251@corp.example>"}');
INSERT INTO "history" VALUES(11,1788760800,'event.create','dana@corp.example>kim@corp.example','c1ifrv6oqm433','','{"kind": "career", "topic": "now", "calendar": "dana@corp.example", "attendees": ["kim@corp.example"], "start": "2026-09-29T08:00:00Z", "end": "2026-09-29T09:15:00Z", "key": "c1ifrv6oqm433.1"}');
INSERT INTO "history" VALUES(12,1788760800,'event.create','dana@corp.example>kim@corp.example','ccfr8pemnhhq','','{"kind": "career", "topic": "direction", "calendar": "dana@corp.example", "attendees": ["kim@corp.example"], "start": "2026-10-06T08:00:00Z", "end": "2026-10-06T09:15:00Z", "key": "ccfr8pemnhhq.1"}');
INSERT INTO "history" VALUES(13,1788760800,'event.create','dana@corp.example>kim@corp.example','c1cvj8hl0t6nb','','{"kind": "career", "topic": "gap", "calendar": "dana@corp.example", "attendees": ["kim@corp.example"], "start": "2026-10-13T08:00:00Z", "end": "2026-10-13T09:15:00Z", "key": "c1cvj8hl0t6nb.1"}');
INSERT INTO "history" VALUES(14,1788760800,'mail','dana@corp.example>kim@corp.example','','','{"message": "introduction", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<06333f59dedda1397131e339997e0451@corp.example>"}');
INSERT INTO "history" VALUES(15,1788760800,'mail','dana@corp.example>kim@corp.example','','','{"message": "introduction", "to": "kim@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<d08cb1da30d38ced9a2d6fda5b2af44f@corp.example>"}');
INSERT INTO "history" VALUES(16,1788760800,'event.create','dana@corp.example>lee@corp.example','ckvoil63g4gq','','{"kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "key": "ckvoil63g4gq.1"}');
INSERT INTO "history" VALUES(17,1788760800,'mail','dana@corp.example>lee@corp.example','','','{"message": "introduction", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<7c78e7dc61add46a2f430985f1682933@corp.example>"}');
INSERT INTO "history" VALUES(18,1788760800,'mail','dana@corp.example>lee@corp.example','','','{"message": "introduction", "to": "lee@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<dc8dba8930c9e114f541ee663c204e4c@corp.example>"}');
INSERT INTO "history" VALUES(19,1788760800,'event.create','dana@corp.example>max@corp.example','c1t502lik53mi','','{"kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-09-23T07:00:00Z", "end": "2026-09-23T08:15:00Z", "key": "c1t502lik53mi.1"}');
INSERT INTO "history" VALUES(20,1788760800,'mail','dana@corp.example>max@corp.example','','','{"message": "introduction", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<5fe8c9ee0071a9bab136c7cf01e9df20@corp.example>"}');
INSERT INTO "history" VALUES(21,1788760800,'mail','dana@corp.example>max@corp.example','','','{"message": "introduction", "to": "max@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<a776a21f492fe0669c7c3d509e15485b@corp.example>"}');
INSERT INTO "history" VALUES(22,1788760800,'event.create','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','{"kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-09-30T07:00:00Z", "end": "2026-09-30T08:15:00Z", "key": "c1su18d5v9s3c.1"}');
INSERT INTO "history" VALUES(23,1788760800,'mail','dana@corp.example>sam@corp.example','','','{"message": "introduction", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<a9727597b764b10af8edb85665ac68de@corp.example>"}');
INSERT INTO "history" VALUES(24,1788760800,'mail','dana@corp.example>sam@corp.example','','','{"message": "introduction", "to": "sam@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<5bbf19167ce454fbfe8c9709e23a4e7c@corp.example>"}');
INSERT INTO "history" VALUES(25,1788760860,'mail','dana@corp.example>lee@corp.example','ckvoil63g4gq','','{"message": "reflection_prompt", "to": "lee@corp.example", "from": "Dana <longarc@corp.example>", "message_id": "<d5f04afe51d39bf5607de0258824e43a@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "key": "ckvoil63g4gq.1"}');
INSERT INTO "history" VALUES(26,1788850800,'mail','dana@corp.example>lee@corp.example','ckvoil63g4gq','','{"message": "brief", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<10a9614e23c54322b8554bed72fba036@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "key": "ckvoil63g4gq.1"}');
INSERT INTO "history" VALUES(27,1788941700,'session','dana@corp.example>lee@corp.example','ckvoil63g4gq','Its end has passed; taken as held unless somebody says otherwise.','{"state": "held", "kind": "career", "topic": "all", "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "count": 0}');
INSERT INTO "history" VALUES(28,1788941700,'session','dana@corp.example>lee@corp.example','c1ndu3n5ovh1i','Wed 4 Nov is the target day. It starts at 09:00 for both. 48 hours later it is Friday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "all", "start": "2026-11-04T08:00:00Z", "end": "2026-11-04T09:15:00Z", "count": 0, "key": "c1ndu3n5ovh1i.1"}');
INSERT INTO "history" VALUES(29,1788941700,'event.create','dana@corp.example>lee@corp.example','c1ndu3n5ovh1i','','{"kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-11-04T08:00:00Z", "end": "2026-11-04T09:15:00Z", "key": "c1ndu3n5ovh1i.1"}');
INSERT INTO "history" VALUES(30,1788941700,'mail','dana@corp.example>lee@corp.example','ckvoil63g4gq','','{"message": "contract_request", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<e45237667ccb4ddf339b1e738031a82a@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "key": "ckvoil63g4gq.1"}');
INSERT INTO "history" VALUES(31,1789023600,'mail','dana@corp.example>lee@corp.example','ckvoil63g4gq','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<4a1fab6a5983d91a0303d26b816deead@corp.example>", "number": 1, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "key": "ckvoil63g4gq.1"}');
INSERT INTO "history" VALUES(32,1789052400,'mail','dana@corp.example>lee@corp.example','ckvoil63g4gq','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<2d8976eb95a457a6a7b3260125b313b4@corp.example>", "number": 2, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "key": "ckvoil63g4gq.1"}');
INSERT INTO "history" VALUES(33,1789372800,'mail','dana@corp.example>lee@corp.example','ckvoil63g4gq','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<c642800f706b9d53a012f41ed9b432be@corp.example>", "number": 3, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "key": "ckvoil63g4gq.1"}');
INSERT INTO "history" VALUES(34,1789459200,'mail','dana@corp.example>lee@corp.example','ckvoil63g4gq','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<b29cb462e1e7524660daa0c82d42cc88@corp.example>", "number": 4, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "key": "ckvoil63g4gq.1"}');
INSERT INTO "history" VALUES(35,1789545600,'mail','dana@corp.example>lee@corp.example','ckvoil63g4gq','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<a53e126d010d10a2584090a2c134bd61@corp.example>", "number": 5, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "key": "ckvoil63g4gq.1"}');
INSERT INTO "history" VALUES(36,1789632000,'session','dana@corp.example>lee@corp.example','ckvoil63g4gq','No contract was recorded; the conversation is unfinished.','{"state": "unfinished", "kind": "career", "topic": "all", "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "count": 0}');
INSERT INTO "history" VALUES(37,1789632000,'session','dana@corp.example>lee@corp.example','rtp114vg0a2j','Wed 7 Oct is 2 days before the target, Fri 9 Oct. It starts at 09:00 for both. 48 hours later it is Friday, a weekday on which Dana works. Dana has 1 other career session that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "review", "topic": "all", "start": "2026-10-07T07:00:00Z", "end": "2026-10-07T07:25:00Z", "count": 0, "key": "rtp114vg0a2j.1"}');
INSERT INTO "history" VALUES(38,1789632000,'event.create','dana@corp.example>lee@corp.example','rtp114vg0a2j','','{"kind": "review", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-10-07T07:00:00Z", "end": "2026-10-07T07:25:00Z", "key": "rtp114vg0a2j.1"}');
INSERT INTO "history" VALUES(39,1789714800,'mail','dana@corp.example>max@corp.example','c1t502lik53mi','','{"message": "reflection_prompt", "to": "max@corp.example", "from": "Dana <longarc@corp.example>", "message_id": "<7eeca82f13038039a839b047512e2213@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-09-23T07:00:00Z", "end": "2026-09-23T08:15:00Z", "key": "c1t502lik53mi.1"}');
INSERT INTO "history" VALUES(40,1790060400,'mail','dana@corp.example>max@corp.example','c1t502lik53mi','','{"message": "brief", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<8fe0269c5da25a9613c74cf4da895f88@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-09-23T07:00:00Z", "end": "2026-09-23T08:15:00Z", "key": "c1t502lik53mi.1"}');
INSERT INTO "history" VALUES(41,1790146800,'mail','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','{"message": "reflection_prompt", "to": "ana@corp.example", "from": "Dana <longarc@corp.example>", "message_id": "<1d771502c35b6692e34b3fbcb2dbd198@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["ana@corp.example"], "start": "2026-09-28T07:00:00Z", "end": "2026-09-28T08:15:00Z", "key": "c1dtemorpvi1k.1"}');
INSERT INTO "history" VALUES(42,1790151300,'session','dana@corp.example>max@corp.example','c1t502lik53mi','Its end has passed; taken as held unless somebody says otherwise.','{"state": "held", "kind": "career", "topic": "all", "start": "2026-09-23T07:00:00Z", "end": "2026-09-23T08:15:00Z", "count": 0}');
INSERT INTO "history" VALUES(43,1790151300,'session','dana@corp.example>max@corp.example','c1i4r87e06hv2','Wed 23 Dec is the target day. It starts at 09:00 for both. 48 hours later it is Friday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "all", "start": "2026-12-23T08:00:00Z", "end": "2026-12-23T09:15:00Z", "count": 0, "key": "c1i4r87e06hv2.1"}');
INSERT INTO "history" VALUES(44,1790151300,'event.create','dana@corp.example>max@corp.example','c1i4r87e06hv2','','{"kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-12-23T08:00:00Z", "end": "2026-12-23T09:15:00Z", "key": "c1i4r87e06hv2.1"}');
INSERT INTO "history" VALUES(45,1790151300,'mail','dana@corp.example>max@corp.example','c1t502lik53mi','','{"message": "contract_request", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<4920abb36bae66f91f2fdba83b6e1d24@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-09-23T07:00:00Z", "end": "2026-09-23T08:15:00Z", "key": "c1t502lik53mi.1"}');
INSERT INTO "history" VALUES(46,1790233200,'mail','dana@corp.example>max@corp.example','c1t502lik53mi','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<d6222cc2e858e5ac2566edc99ac09d47@corp.example>", "number": 1, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-09-23T07:00:00Z", "end": "2026-09-23T08:15:00Z", "key": "c1t502lik53mi.1"}');
INSERT INTO "history" VALUES(47,1790236800,'mail','dana@corp.example>kim@corp.example','c1ifrv6oqm433','','{"message": "reflection_prompt", "to": "kim@corp.example", "from": "Dana <longarc@corp.example>", "message_id": "<62073e5af6a550a437e7b608eea24d6d@corp.example>", "kind": "career", "topic": "now", "calendar": "dana@corp.example", "attendees": ["kim@corp.example"], "start": "2026-09-29T08:00:00Z", "end": "2026-09-29T09:15:00Z", "key": "c1ifrv6oqm433.1"}');
INSERT INTO "history" VALUES(48,1790262000,'mail','dana@corp.example>max@corp.example','c1t502lik53mi','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<482914f7938216fa9a6ee276454a629f@corp.example>", "number": 2, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-09-23T07:00:00Z", "end": "2026-09-23T08:15:00Z", "key": "c1t502lik53mi.1"}');
INSERT INTO "history" VALUES(49,1790319600,'mail','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','{"message": "brief", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<1e364538a1be5dad5b84b60dccddb5bb@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["ana@corp.example"], "start": "2026-09-28T07:00:00Z", "end": "2026-09-28T08:15:00Z", "key": "c1dtemorpvi1k.1"}');
INSERT INTO "history" VALUES(50,1790319600,'mail','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','{"message": "reflection_prompt", "to": "sam@corp.example", "from": "Dana <longarc@corp.example>", "message_id": "<cc792d4bb9c4b6bf1364332a4d457621@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-09-30T07:00:00Z", "end": "2026-09-30T08:15:00Z", "key": "c1su18d5v9s3c.1"}');
INSERT INTO "history" VALUES(51,1790578800,'mail','dana@corp.example>kim@corp.example','c1ifrv6oqm433','','{"message": "brief", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<982d608dd77dd5d95c314b8c66276baf@corp.example>", "kind": "career", "topic": "now", "calendar": "dana@corp.example", "attendees": ["kim@corp.example"], "start": "2026-09-29T08:00:00Z", "end": "2026-09-29T09:15:00Z", "key": "c1ifrv6oqm433.1"}');
INSERT INTO "history" VALUES(52,1790582400,'mail','dana@corp.example>max@corp.example','c1t502lik53mi','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<cbc9e98057a6ffa70f314e5f5359b187@corp.example>", "number": 3, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-09-23T07:00:00Z", "end": "2026-09-23T08:15:00Z", "key": "c1t502lik53mi.1"}');
INSERT INTO "history" VALUES(53,1790583300,'session','dana@corp.example>ana@corp.example','c1dtemorpvi1k','Its end has passed; taken as held unless somebody says otherwise.','{"state": "held", "kind": "career", "topic": "all", "start": "2026-09-28T07:00:00Z", "end": "2026-09-28T08:15:00Z", "count": 0}');
INSERT INTO "history" VALUES(54,1790583300,'session','dana@corp.example>ana@corp.example','c1jlopv7qb0fk','Mon 28 Dec is the target day. It starts at 09:00 for both. 48 hours later it is Wednesday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "all", "start": "2026-12-28T08:00:00Z", "end": "2026-12-28T09:15:00Z", "count": 0, "key": "c1jlopv7qb0fk.1"}');
INSERT INTO "history" VALUES(55,1790583300,'event.create','dana@corp.example>ana@corp.example','c1jlopv7qb0fk','','{"kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["ana@corp.example"], "start": "2026-12-28T08:00:00Z", "end": "2026-12-28T09:15:00Z", "key": "c1jlopv7qb0fk.1"}');
INSERT INTO "history" VALUES(56,1790583300,'mail','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','{"message": "contract_request", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<367a810baeba153cd1843a9b0ef9f2b8@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["ana@corp.example"], "start": "2026-09-28T07:00:00Z", "end": "2026-09-28T08:15:00Z", "key": "c1dtemorpvi1k.1"}');
INSERT INTO "history" VALUES(57,1790665200,'mail','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<cc8b527bf9a148c652ab65d9e4453330@corp.example>", "number": 1, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["ana@corp.example"], "start": "2026-09-28T07:00:00Z", "end": "2026-09-28T08:15:00Z", "key": "c1dtemorpvi1k.1"}');
INSERT INTO "history" VALUES(58,1790665200,'mail','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','{"message": "brief", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<495101a3eb0ebfedf835c0f9cfd64d25@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-09-30T07:00:00Z", "end": "2026-09-30T08:15:00Z", "key": "c1su18d5v9s3c.1"}');
INSERT INTO "history" VALUES(59,1790668800,'mail','dana@corp.example>max@corp.example','c1t502lik53mi','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<b7263b3b3fd7a45fc63b8b25047306cc@corp.example>", "number": 4, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-09-23T07:00:00Z", "end": "2026-09-23T08:15:00Z", "key": "c1t502lik53mi.1"}');
INSERT INTO "history" VALUES(60,1790673300,'session','dana@corp.example>kim@corp.example','c1ifrv6oqm433','Its end has passed; taken as held unless somebody says otherwise.','{"state": "held", "kind": "career", "topic": "now", "start": "2026-09-29T08:00:00Z", "end": "2026-09-29T09:15:00Z", "count": 0}');
INSERT INTO "history" VALUES(61,1790694000,'mail','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<e437b59dc6bf180aa86ec4befadced56@corp.example>", "number": 2, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["ana@corp.example"], "start": "2026-09-28T07:00:00Z", "end": "2026-09-28T08:15:00Z", "key": "c1dtemorpvi1k.1"}');
INSERT INTO "history" VALUES(62,1790755200,'mail','dana@corp.example>max@corp.example','c1t502lik53mi','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<809417b1a01b1527941a7899266797a4@corp.example>", "number": 5, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-09-23T07:00:00Z", "end": "2026-09-23T08:15:00Z", "key": "c1t502lik53mi.1"}');
INSERT INTO "history" VALUES(63,1790756100,'session','dana@corp.example>sam@corp.example','c1su18d5v9s3c','Its end has passed; taken as held unless somebody says otherwise.','{"state": "held", "kind": "career", "topic": "all", "start": "2026-09-30T07:00:00Z", "end": "2026-09-30T08:15:00Z", "count": 0}');
INSERT INTO "history" VALUES(64,1790756100,'session','dana@corp.example>sam@corp.example','cmb00btj8t5j','Wed 30 Dec is the target day. It starts at 09:00 for both. 48 hours later it is Friday, a weekday on which Dana works. Dana has 1 other career session that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "all", "start": "2026-12-30T08:00:00Z", "end": "2026-12-30T09:15:00Z", "count": 0, "key": "cmb00btj8t5j.1"}');
INSERT INTO "history" VALUES(65,1790756100,'event.create','dana@corp.example>sam@corp.example','cmb00btj8t5j','','{"kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-12-30T08:00:00Z", "end": "2026-12-30T09:15:00Z", "key": "cmb00btj8t5j.1"}');
INSERT INTO "history" VALUES(66,1790756100,'mail','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','{"message": "contract_request", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<4e64532a0a9b526b479e5a603b6884af@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-09-30T07:00:00Z", "end": "2026-09-30T08:15:00Z", "key": "c1su18d5v9s3c.1"}');
INSERT INTO "history" VALUES(67,1790838000,'mail','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<79b2106f7a4e845b92c8083686e3fb8a@corp.example>", "number": 1, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-09-30T07:00:00Z", "end": "2026-09-30T08:15:00Z", "key": "c1su18d5v9s3c.1"}');
INSERT INTO "history" VALUES(68,1790841600,'session','dana@corp.example>max@corp.example','c1t502lik53mi','No contract was recorded; the conversation is unfinished.','{"state": "unfinished", "kind": "career", "topic": "all", "start": "2026-09-23T07:00:00Z", "end": "2026-09-23T08:15:00Z", "count": 0}');
INSERT INTO "history" VALUES(69,1790841600,'session','dana@corp.example>max@corp.example','r1ekd57eqsmuf','Wed 21 Oct is 2 days before the target, Fri 23 Oct. It starts at 09:00 for both. 48 hours later it is Friday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "review", "topic": "all", "start": "2026-10-21T07:00:00Z", "end": "2026-10-21T07:25:00Z", "count": 0, "key": "r1ekd57eqsmuf.1"}');
INSERT INTO "history" VALUES(70,1790841600,'session','dana@corp.example>max@corp.example','r18jfq5vsvesv','Mon 23 Nov is the target day. It starts at 09:00 for both. 48 hours later it is Wednesday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "review", "topic": "all", "start": "2026-11-23T08:00:00Z", "end": "2026-11-23T08:25:00Z", "count": 0, "key": "r18jfq5vsvesv.1"}');
INSERT INTO "history" VALUES(71,1790841600,'mail','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<afccbddc4e74c5bda06aa50ffa8968a3@corp.example>", "number": 3, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["ana@corp.example"], "start": "2026-09-28T07:00:00Z", "end": "2026-09-28T08:15:00Z", "key": "c1dtemorpvi1k.1"}');
INSERT INTO "history" VALUES(72,1790841600,'mail','dana@corp.example>kim@corp.example','ccfr8pemnhhq','','{"message": "reflection_prompt", "to": "kim@corp.example", "from": "Dana <longarc@corp.example>", "message_id": "<62b96a03ca068555534fcd77c189099c@corp.example>", "kind": "career", "topic": "direction", "calendar": "dana@corp.example", "attendees": ["kim@corp.example"], "start": "2026-10-06T08:00:00Z", "end": "2026-10-06T09:15:00Z", "key": "ccfr8pemnhhq.1"}');
INSERT INTO "history" VALUES(73,1790841600,'event.create','dana@corp.example>max@corp.example','r1ekd57eqsmuf','','{"kind": "review", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-10-21T07:00:00Z", "end": "2026-10-21T07:25:00Z", "key": "r1ekd57eqsmuf.1"}');
INSERT INTO "history" VALUES(74,1790841600,'event.create','dana@corp.example>max@corp.example','r18jfq5vsvesv','','{"kind": "review", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-11-23T08:00:00Z", "end": "2026-11-23T08:25:00Z", "key": "r18jfq5vsvesv.1"}');
INSERT INTO "history" VALUES(75,1790866800,'mail','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<b3549b38994a4f8d12896bb77026ecf7@corp.example>", "number": 2, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-09-30T07:00:00Z", "end": "2026-09-30T08:15:00Z", "key": "c1su18d5v9s3c.1"}');
INSERT INTO "history" VALUES(76,1790928000,'mail','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<387a80dd7038399183238b3a432f5ea1@corp.example>", "number": 4, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["ana@corp.example"], "start": "2026-09-28T07:00:00Z", "end": "2026-09-28T08:15:00Z", "key": "c1dtemorpvi1k.1"}');
INSERT INTO "history" VALUES(77,1791180000,'session','dana@corp.example>sam@corp.example','c1su18d5v9s3c','The contract was recorded, after its 48 hours.','{"state": "contracted", "kind": "career", "topic": "all", "start": "2026-09-30T07:00:00Z", "end": "2026-09-30T08:15:00Z", "count": 0, "late": true}');
INSERT INTO "history" VALUES(78,1791180000,'session','dana@corp.example>lee@corp.example','ckvoil63g4gq','The contract was recorded, after its 48 hours.','{"state": "contracted", "kind": "career", "topic": "all", "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "count": 0, "late": true}');
INSERT INTO "history" VALUES(79,1791180000,'commitment','dana@corp.example>lee@corp.example','ckvoil63g4gq','On the manager''s calendar as a block.','{"start": "2026-11-03T08:00:00Z", "due": "2026-11-04"}');
INSERT INTO "history" VALUES(80,1791180000,'session','dana@corp.example>sam@corp.example','rcfu9qs573uo','Wed 28 Oct is 2 days before the target, Fri 30 Oct. It starts at 09:00 for both. 48 hours later it is Friday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "review", "topic": "all", "start": "2026-10-28T08:00:00Z", "end": "2026-10-28T08:25:00Z", "count": 0, "key": "rcfu9qs573uo.1"}');
INSERT INTO "history" VALUES(81,1791180000,'session','dana@corp.example>sam@corp.example','r1951g544cnuf','Mon 30 Nov is the target day. It starts at 09:00 for both. 48 hours later it is Wednesday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "review", "topic": "all", "start": "2026-11-30T08:00:00Z", "end": "2026-11-30T08:25:00Z", "count": 0, "key": "r1951g544cnuf.1"}');
INSERT INTO "history" VALUES(82,1791180000,'commitment','dana@corp.example>sam@corp.example','c1su18d5v9s3c','On the manager''s calendar as a block.','{"start": "2026-11-03T08:30:00Z", "due": "2026-11-04"}');
INSERT INTO "history" VALUES(83,1791180000,'mail','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','{"message": "contract_summary", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<5b00c0af390b0a17f2c7897d6a69d1b8@corp.example>", "number": 1, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-09-30T07:00:00Z", "end": "2026-09-30T08:15:00Z", "key": "c1su18d5v9s3c.1"}');
INSERT INTO "history" VALUES(84,1791180000,'mail','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','{"message": "contract_summary", "to": "sam@corp.example", "from": "Dana <longarc@corp.example>", "message_id": "<8d7060c735daeb4bde1266524474977a@corp.example>", "number": 1, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-09-30T07:00:00Z", "end": "2026-09-30T08:15:00Z", "key": "c1su18d5v9s3c.1"}');
INSERT INTO "history" VALUES(85,1791180000,'mail','dana@corp.example>lee@corp.example','ckvoil63g4gq','','{"message": "contract_summary", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<6f340c119360f8098e1f04171239e5b3@corp.example>", "number": 1, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "key": "ckvoil63g4gq.1"}');
INSERT INTO "history" VALUES(86,1791180000,'mail','dana@corp.example>lee@corp.example','ckvoil63g4gq','','{"message": "contract_summary", "to": "lee@corp.example", "from": "Dana <longarc@corp.example>", "message_id": "<7890270112ee6957d113112a820ed757@corp.example>", "number": 1, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-09-09T07:00:00Z", "end": "2026-09-09T08:15:00Z", "key": "ckvoil63g4gq.1"}');
INSERT INTO "history" VALUES(87,1791180000,'event.create','dana@corp.example>lee@corp.example','pk7ui9hdtefj','','{"kind": "commitment", "calendar": "dana@corp.example", "attendees": [], "start": "2026-11-03T08:00:00Z", "end": "2026-11-03T08:30:00Z", "key": "pk7ui9hdtefj.1", "due": "2026-11-04"}');
INSERT INTO "history" VALUES(88,1791180000,'event.create','dana@corp.example>sam@corp.example','rcfu9qs573uo','','{"kind": "review", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-10-28T08:00:00Z", "end": "2026-10-28T08:25:00Z", "key": "rcfu9qs573uo.1"}');
INSERT INTO "history" VALUES(89,1791180000,'event.create','dana@corp.example>sam@corp.example','r1951g544cnuf','','{"kind": "review", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-11-30T08:00:00Z", "end": "2026-11-30T08:25:00Z", "key": "r1951g544cnuf.1"}');
INSERT INTO "history" VALUES(90,1791180000,'event.create','dana@corp.example>sam@corp.example','p1v5o61b7m691','','{"kind": "commitment", "calendar": "dana@corp.example", "attendees": [], "start": "2026-11-03T08:30:00Z", "end": "2026-11-03T09:00:00Z", "key": "p1v5o61b7m691.1", "due": "2026-11-04"}');
INSERT INTO "history" VALUES(91,1791183600,'mail','dana@corp.example>kim@corp.example','ccfr8pemnhhq','','{"message": "brief", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<586d0819304700879a8e11223aeeb6c0@corp.example>", "kind": "career", "topic": "direction", "calendar": "dana@corp.example", "attendees": ["kim@corp.example"], "start": "2026-10-06T08:00:00Z", "end": "2026-10-06T09:15:00Z", "key": "ccfr8pemnhhq.1"}');
INSERT INTO "history" VALUES(92,1791187200,'mail','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','{"message": "contract_reminder", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<e6970f34a7baaf5d2525eb964d9dd909@corp.example>", "number": 5, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["ana@corp.example"], "start": "2026-09-28T07:00:00Z", "end": "2026-09-28T08:15:00Z", "key": "c1dtemorpvi1k.1"}');
INSERT INTO "history" VALUES(93,1791266400,'session','dana@corp.example>max@corp.example','c1i4r87e06hv2','Deferred by max@corp.example: declined. Deferral number 1; it is owed.','{"state": "deferred", "kind": "career", "topic": "all", "count": 1, "cause": "declined", "who": "max@corp.example"}');
INSERT INTO "history" VALUES(94,1791266400,'session','dana@corp.example>max@corp.example','c1i4r87e06hv2','Thu 8 Oct is the target day. It starts at 09:00 for both. 48 hours later it is Saturday, with 1 working day for Dana on the way. Dana has 1 other career session that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "all", "start": "2026-10-08T07:00:00Z", "end": "2026-10-08T08:15:00Z", "count": 1, "key": "c1i4r87e06hv2.1"}');
INSERT INTO "history" VALUES(95,1791266400,'event.update','dana@corp.example>max@corp.example','c1i4r87e06hv2','','{"kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-10-08T07:00:00Z", "end": "2026-10-08T08:15:00Z", "key": "c1i4r87e06hv2.1"}');
INSERT INTO "history" VALUES(96,1791266400,'mail','dana@corp.example>max@corp.example','c1i4r87e06hv2','','{"message": "reflection_prompt", "to": "max@corp.example", "from": "Dana <longarc@corp.example>", "message_id": "<08c9304bbb5b28f18717c0dccc0851aa@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-10-08T07:00:00Z", "end": "2026-10-08T08:15:00Z", "key": "c1i4r87e06hv2.1"}');
INSERT INTO "history" VALUES(97,1791266400,'mail','dana@corp.example>max@corp.example','c1i4r87e06hv2','','{"message": "deferral_notice", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<9cb535e7c65ca0692d879c358d5dcba6@corp.example>", "number": 1, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-10-08T07:00:00Z", "end": "2026-10-08T08:15:00Z", "key": "c1i4r87e06hv2.1"}');
INSERT INTO "history" VALUES(98,1791270000,'session','dana@corp.example>max@corp.example','c1i4r87e06hv2','Deferred by max@corp.example: declined. Deferral number 2; it is owed.','{"state": "deferred", "kind": "career", "topic": "all", "count": 2, "cause": "declined", "who": "max@corp.example"}');
INSERT INTO "history" VALUES(99,1791270000,'session','dana@corp.example>max@corp.example','c1i4r87e06hv2','Thu 8 Oct is the target day. It starts at 10:15 for both. 48 hours later it is Saturday, with 1 working day for Dana on the way. Dana has 1 other career session that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "all", "start": "2026-10-08T08:15:00Z", "end": "2026-10-08T09:30:00Z", "count": 2, "key": "c1i4r87e06hv2.1"}');
INSERT INTO "history" VALUES(100,1791270000,'event.update','dana@corp.example>max@corp.example','c1i4r87e06hv2','','{"kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-10-08T08:15:00Z", "end": "2026-10-08T09:30:00Z", "key": "c1i4r87e06hv2.1"}');
INSERT INTO "history" VALUES(101,1791270000,'mail','dana@corp.example>max@corp.example','c1i4r87e06hv2','','{"message": "deferral_notice", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<7d6ae3eb62ab5b949b212b0af8db593a@corp.example>", "number": 2, "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-10-08T08:15:00Z", "end": "2026-10-08T09:30:00Z", "key": "c1i4r87e06hv2.1"}');
INSERT INTO "history" VALUES(102,1791273600,'session','dana@corp.example>ana@corp.example','c1dtemorpvi1k','No contract was recorded; the conversation is unfinished.','{"state": "unfinished", "kind": "career", "topic": "all", "start": "2026-09-28T07:00:00Z", "end": "2026-09-28T08:15:00Z", "count": 0}');
INSERT INTO "history" VALUES(103,1791273600,'session','dana@corp.example>ana@corp.example','regu31at32vo','Wed 28 Oct is the target day. It starts at 09:45 for both. 48 hours later it is Friday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "review", "topic": "all", "start": "2026-10-28T08:45:00Z", "end": "2026-10-28T09:10:00Z", "count": 0, "key": "regu31at32vo.1"}');
INSERT INTO "history" VALUES(104,1791273600,'session','dana@corp.example>ana@corp.example','rhq6a0h9ug4j','Mon 30 Nov is 2 days after the target, Sat 28 Nov. It starts at 09:45 for both. 48 hours later it is Wednesday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "review", "topic": "all", "start": "2026-11-30T08:45:00Z", "end": "2026-11-30T09:10:00Z", "count": 0, "key": "rhq6a0h9ug4j.1"}');
INSERT INTO "history" VALUES(105,1791273600,'event.create','dana@corp.example>ana@corp.example','regu31at32vo','','{"kind": "review", "topic": "all", "calendar": "dana@corp.example", "attendees": ["ana@corp.example"], "start": "2026-10-28T08:45:00Z", "end": "2026-10-28T09:10:00Z", "key": "regu31at32vo.1"}');
INSERT INTO "history" VALUES(106,1791273600,'event.create','dana@corp.example>ana@corp.example','rhq6a0h9ug4j','','{"kind": "review", "topic": "all", "calendar": "dana@corp.example", "attendees": ["ana@corp.example"], "start": "2026-11-30T08:45:00Z", "end": "2026-11-30T09:10:00Z", "key": "rhq6a0h9ug4j.1"}');
INSERT INTO "history" VALUES(107,1791278100,'session','dana@corp.example>kim@corp.example','ccfr8pemnhhq','Its end has passed; taken as held unless somebody says otherwise.','{"state": "held", "kind": "career", "topic": "direction", "start": "2026-10-06T08:00:00Z", "end": "2026-10-06T09:15:00Z", "count": 0}');
INSERT INTO "history" VALUES(108,1791352800,'mail','dana@corp.example>lee@corp.example','rtp114vg0a2j','','{"message": "review_note", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<a236fb5beef44636fa56f25da4f262a6@corp.example>", "kind": "review", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-10-07T07:00:00Z", "end": "2026-10-07T07:25:00Z", "key": "rtp114vg0a2j.1"}');
INSERT INTO "history" VALUES(109,1791356400,'mail','dana@corp.example>max@corp.example','c1i4r87e06hv2','','{"message": "brief", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<44a3e91d1a5c64d21444b39a19bf3742@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2026-10-08T08:15:00Z", "end": "2026-10-08T09:30:00Z", "key": "c1i4r87e06hv2.1"}');
INSERT INTO "history" VALUES(110,1791357900,'session','dana@corp.example>lee@corp.example','rtp114vg0a2j','Its end has passed; taken as held unless somebody says otherwise.','{"state": "held", "kind": "review", "topic": "all", "start": "2026-10-07T07:00:00Z", "end": "2026-10-07T07:25:00Z", "count": 0}');
INSERT INTO "history" VALUES(111,1791374400,'session','dana@corp.example>lee@corp.example','c22lhvqjh2sk','A person asked to talk soon.','{"state": "owed", "kind": "career", "topic": "all", "count": 0}');
INSERT INTO "history" VALUES(112,1791374400,'session','dana@corp.example>lee@corp.example','c22lhvqjh2sk','Fri 9 Oct is 2 days after the target, Wed 7 Oct. It starts at 09:00 for both. 48 hours later it is Sunday, with no working days for Dana on the way. Dana has 1 other career session that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "all", "start": "2026-10-09T07:00:00Z", "end": "2026-10-09T08:15:00Z", "count": 0, "key": "c22lhvqjh2sk.1"}');
INSERT INTO "history" VALUES(113,1791374400,'session','dana@corp.example>sam@corp.example','rcfu9qs573uo','Deferred by sam@corp.example: declined. Deferral number 1; it is owed.','{"state": "deferred", "kind": "review", "topic": "all", "count": 1, "cause": "declined", "who": "sam@corp.example"}');
INSERT INTO "history" VALUES(114,1791374400,'session','dana@corp.example>sam@corp.example','rcfu9qs573uo','Mon 12 Oct is 3 days after the target, Fri 9 Oct. It starts at 09:00 for both. 48 hours later it is Wednesday, a weekday on which Dana works. Dana has 1 other career session that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "review", "topic": "all", "start": "2026-10-12T07:00:00Z", "end": "2026-10-12T07:25:00Z", "count": 1, "key": "rcfu9qs573uo.1"}');
INSERT INTO "history" VALUES(115,1791374400,'event.create','dana@corp.example>lee@corp.example','c22lhvqjh2sk','','{"kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-10-09T07:00:00Z", "end": "2026-10-09T08:15:00Z", "key": "c22lhvqjh2sk.1"}');
INSERT INTO "history" VALUES(116,1791374400,'event.update','dana@corp.example>sam@corp.example','rcfu9qs573uo','','{"kind": "review", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-10-12T07:00:00Z", "end": "2026-10-12T07:25:00Z", "key": "rcfu9qs573uo.1"}');
INSERT INTO "history" VALUES(117,1791374400,'mail','dana@corp.example>sam@corp.example','rcfu9qs573uo','','{"message": "deferral_notice", "to": "dana@corp.example", "from": "Longarc <longarc@corp.example>", "message_id": "<7b3f62dec1576f2b3fabe13de7c02a9d@corp.example>", "number": 1, "kind": "review", "topic": "all", "calendar": "dana@corp.example", "attendees": ["sam@corp.example"], "start": "2026-10-12T07:00:00Z", "end": "2026-10-12T07:25:00Z", "key": "rcfu9qs573uo.1"}');
INSERT INTO "history" VALUES(118,1791374460,'mail','dana@corp.example>lee@corp.example','c22lhvqjh2sk','','{"message": "reflection_prompt", "to": "lee@corp.example", "from": "Dana <longarc@corp.example>", "message_id": "<11e0100641c5474baab514c8d4290dc3@corp.example>", "kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["lee@corp.example"], "start": "2026-10-09T07:00:00Z", "end": "2026-10-09T08:15:00Z", "key": "c22lhvqjh2sk.1"}');
INSERT INTO "history" VALUES(119,1791437400,'session','dana@corp.example>kim@corp.example','c1cvj8hl0t6nb','Deferred by kim@corp.example: declined. Deferral number 1; it is owed.','{"state": "deferred", "kind": "career", "topic": "gap", "count": 1, "cause": "declined", "who": "kim@corp.example"}');
INSERT INTO "history" VALUES(120,1791437400,'session','dana@corp.example>kim@corp.example','c1cvj8hl0t6nb','Mon 12 Oct is the target day. It starts at 10:00 for Dana and 09:00 for Kim. 48 hours later it is Wednesday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "gap", "start": "2026-10-12T08:00:00Z", "end": "2026-10-12T09:15:00Z", "count": 1, "key": "c1cvj8hl0t6nb.1"}');
INSERT INTO "history" VALUES(121,1791437400,'event.update','dana@corp.example>kim@corp.example','c1cvj8hl0t6nb','','{"kind": "career", "topic": "gap", "calendar": "dana@corp.example", "attendees": ["kim@corp.example"], "start": "2026-10-12T08:00:00Z", "end": "2026-10-12T09:15:00Z", "key": "c1cvj8hl0t6nb.1"}');
INSERT INTO "history" VALUES(122,1791451800,'session','dana@corp.example>max@corp.example','c1i4r87e06hv2','Its end has passed; taken as held unless somebody says otherwise.','{"state": "held", "kind": "career", "topic": "all", "start": "2026-10-08T08:15:00Z", "end": "2026-10-08T09:30:00Z", "count": 2}');
INSERT INTO "history" VALUES(123,1791451800,'session','dana@corp.example>max@corp.example','cb6ofe95h0a8','Wed 6 Jan is 1 day before the target, Thu 7 Jan. It starts at 09:00 for both. 48 hours later it is Friday, a weekday on which Dana works. Dana has no other career sessions that week. At least 15 minutes before and after it are free.','{"state": "booked", "kind": "career", "topic": "all", "start": "2027-01-06T08:00:00Z", "end": "2027-01-06T09:15:00Z", "count": 0, "key": "cb6ofe95h0a8.1"}');
INSERT INTO "history" VALUES(124,1791451800,'event.create','dana@corp.example>max@corp.example','cb6ofe95h0a8','','{"kind": "career", "topic": "all", "calendar": "dana@corp.example", "attendees": ["max@corp.example"], "start": "2027-01-06T08:00:00Z", "end": "2027-01-06T09:15:00Z", "key": "cb6ofe95h0a8.1"}');
CREATE TABLE meeting (
	calendar VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	series VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	start BIGINT NOT NULL, 
	"end" BIGINT NOT NULL, 
	CONSTRAINT pk_meeting PRIMARY KEY (calendar, id)
);
CREATE TABLE message (
	id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	what VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	calendar VARCHAR NOT NULL, 
	event VARCHAR NOT NULL, 
	"to" VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	start BIGINT, 
	progress VARCHAR NOT NULL, 
	due_at BIGINT, 
	snapshot_at BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	holder VARCHAR, 
	problem VARCHAR, 
	fields JSON NOT NULL, 
	CONSTRAINT pk_message PRIMARY KEY (id), 
	CONSTRAINT uq_message_key UNIQUE ("key")
);
INSERT INTO "message" VALUES(1,'event.create:c1dtemorpvi1k.1:1','event.create','','dana@corp.example>ana@corp.example','c1dtemorpvi1k','dana@corp.example','c1dtemorpvi1k.1','',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(2,'introduction:dana@corp.example>ana@corp.example:dana@corp.example:0.1','mail','introduction','dana@corp.example>ana@corp.example','dana@corp.example>ana@corp.example','','','dana@corp.example',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(3,'introduction:dana@corp.example>ana@corp.example:ana@corp.example:0.1','mail','introduction','dana@corp.example>ana@corp.example','dana@corp.example>ana@corp.example','','','ana@corp.example',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(4,'event.create:c1ifrv6oqm433.1:1','event.create','','dana@corp.example>kim@corp.example','c1ifrv6oqm433','dana@corp.example','c1ifrv6oqm433.1','',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(5,'event.create:ccfr8pemnhhq.1:1','event.create','','dana@corp.example>kim@corp.example','ccfr8pemnhhq','dana@corp.example','ccfr8pemnhhq.1','',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(6,'event.create:c1cvj8hl0t6nb.1:1','event.create','','dana@corp.example>kim@corp.example','c1cvj8hl0t6nb','dana@corp.example','c1cvj8hl0t6nb.1','',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(7,'introduction:dana@corp.example>kim@corp.example:dana@corp.example:0.1','mail','introduction','dana@corp.example>kim@corp.example','dana@corp.example>kim@corp.example','','','dana@corp.example',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(8,'introduction:dana@corp.example>kim@corp.example:kim@corp.example:0.1','mail','introduction','dana@corp.example>kim@corp.example','dana@corp.example>kim@corp.example','','','kim@corp.example',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(9,'event.create:ckvoil63g4gq.1:1','event.create','','dana@corp.example>lee@corp.example','ckvoil63g4gq','dana@corp.example','ckvoil63g4gq.1','',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(10,'introduction:dana@corp.example>lee@corp.example:dana@corp.example:0.1','mail','introduction','dana@corp.example>lee@corp.example','dana@corp.example>lee@corp.example','','','dana@corp.example',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(11,'introduction:dana@corp.example>lee@corp.example:lee@corp.example:0.1','mail','introduction','dana@corp.example>lee@corp.example','dana@corp.example>lee@corp.example','','','lee@corp.example',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(12,'event.create:c1t502lik53mi.1:1','event.create','','dana@corp.example>max@corp.example','c1t502lik53mi','dana@corp.example','c1t502lik53mi.1','',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(13,'introduction:dana@corp.example>max@corp.example:dana@corp.example:0.1','mail','introduction','dana@corp.example>max@corp.example','dana@corp.example>max@corp.example','','','dana@corp.example',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(14,'introduction:dana@corp.example>max@corp.example:max@corp.example:0.1','mail','introduction','dana@corp.example>max@corp.example','dana@corp.example>max@corp.example','','','max@corp.example',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(15,'event.create:c1su18d5v9s3c.1:1','event.create','','dana@corp.example>sam@corp.example','c1su18d5v9s3c','dana@corp.example','c1su18d5v9s3c.1','',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(16,'introduction:dana@corp.example>sam@corp.example:dana@corp.example:0.1','mail','introduction','dana@corp.example>sam@corp.example','dana@corp.example>sam@corp.example','','','dana@corp.example',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(17,'introduction:dana@corp.example>sam@corp.example:sam@corp.example:0.1','mail','introduction','dana@corp.example>sam@corp.example','dana@corp.example>sam@corp.example','','','sam@corp.example',0,NULL,'done',NULL,1788760800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(18,'reflection_prompt:ckvoil63g4gq:lee@corp.example:20260909.0.1','mail','reflection_prompt','dana@corp.example>lee@corp.example','ckvoil63g4gq','','','lee@corp.example',0,1788937200,'done',NULL,1788760860,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(19,'brief:ckvoil63g4gq:dana@corp.example:20260909.0.1','mail','brief','dana@corp.example>lee@corp.example','ckvoil63g4gq','','','dana@corp.example',0,1788937200,'done',NULL,1788850800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(20,'event.create:c1ndu3n5ovh1i.1:1','event.create','','dana@corp.example>lee@corp.example','c1ndu3n5ovh1i','dana@corp.example','c1ndu3n5ovh1i.1','',0,NULL,'done',NULL,1788941700,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(21,'contract_request:ckvoil63g4gq:dana@corp.example:20260909.0.1','mail','contract_request','dana@corp.example>lee@corp.example','ckvoil63g4gq','','','dana@corp.example',0,1788941700,'done',NULL,1788941700,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(22,'contract_reminder:ckvoil63g4gq:dana@corp.example:20260909.1.1','mail','contract_reminder','dana@corp.example>lee@corp.example','ckvoil63g4gq','','','dana@corp.example',1,1788941700,'done',NULL,1789023600,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(23,'contract_reminder:ckvoil63g4gq:dana@corp.example:20260909.2.1','mail','contract_reminder','dana@corp.example>lee@corp.example','ckvoil63g4gq','','','dana@corp.example',2,1788941700,'done',NULL,1789052400,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(24,'contract_reminder:ckvoil63g4gq:dana@corp.example:20260909.3.1','mail','contract_reminder','dana@corp.example>lee@corp.example','ckvoil63g4gq','','','dana@corp.example',3,1788941700,'done',NULL,1789372800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(25,'contract_reminder:ckvoil63g4gq:dana@corp.example:20260909.4.1','mail','contract_reminder','dana@corp.example>lee@corp.example','ckvoil63g4gq','','','dana@corp.example',4,1788941700,'done',NULL,1789459200,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(26,'contract_reminder:ckvoil63g4gq:dana@corp.example:20260909.5.1','mail','contract_reminder','dana@corp.example>lee@corp.example','ckvoil63g4gq','','','dana@corp.example',5,1788941700,'done',NULL,1789545600,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(27,'event.create:rtp114vg0a2j.1:1','event.create','','dana@corp.example>lee@corp.example','rtp114vg0a2j','dana@corp.example','rtp114vg0a2j.1','',0,NULL,'done',NULL,1789632000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(28,'reflection_prompt:c1t502lik53mi:max@corp.example:20260923.0.1','mail','reflection_prompt','dana@corp.example>max@corp.example','c1t502lik53mi','','','max@corp.example',0,1790146800,'done',NULL,1789714800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(29,'brief:c1t502lik53mi:dana@corp.example:20260923.0.1','mail','brief','dana@corp.example>max@corp.example','c1t502lik53mi','','','dana@corp.example',0,1790146800,'done',NULL,1790060400,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(30,'reflection_prompt:c1dtemorpvi1k:ana@corp.example:20260928.0.1','mail','reflection_prompt','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','','ana@corp.example',0,1790578800,'done',NULL,1790146800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(31,'event.create:c1i4r87e06hv2.1:1','event.create','','dana@corp.example>max@corp.example','c1i4r87e06hv2','dana@corp.example','c1i4r87e06hv2.1','',0,NULL,'done',NULL,1790151300,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(32,'contract_request:c1t502lik53mi:dana@corp.example:20260923.0.1','mail','contract_request','dana@corp.example>max@corp.example','c1t502lik53mi','','','dana@corp.example',0,1790151300,'done',NULL,1790151300,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(33,'contract_reminder:c1t502lik53mi:dana@corp.example:20260923.1.1','mail','contract_reminder','dana@corp.example>max@corp.example','c1t502lik53mi','','','dana@corp.example',1,1790151300,'done',NULL,1790233200,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(34,'reflection_prompt:c1ifrv6oqm433:kim@corp.example:20260929.0.1','mail','reflection_prompt','dana@corp.example>kim@corp.example','c1ifrv6oqm433','','','kim@corp.example',0,1790668800,'done',NULL,1790236800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(35,'contract_reminder:c1t502lik53mi:dana@corp.example:20260923.2.1','mail','contract_reminder','dana@corp.example>max@corp.example','c1t502lik53mi','','','dana@corp.example',2,1790151300,'done',NULL,1790262000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(36,'brief:c1dtemorpvi1k:dana@corp.example:20260928.0.1','mail','brief','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','','dana@corp.example',0,1790578800,'done',NULL,1790319600,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(37,'reflection_prompt:c1su18d5v9s3c:sam@corp.example:20260930.0.1','mail','reflection_prompt','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','','sam@corp.example',0,1790751600,'done',NULL,1790319600,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(38,'brief:c1ifrv6oqm433:dana@corp.example:20260929.0.1','mail','brief','dana@corp.example>kim@corp.example','c1ifrv6oqm433','','','dana@corp.example',0,1790668800,'done',NULL,1790578800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(39,'contract_reminder:c1t502lik53mi:dana@corp.example:20260923.3.1','mail','contract_reminder','dana@corp.example>max@corp.example','c1t502lik53mi','','','dana@corp.example',3,1790151300,'done',NULL,1790582400,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(40,'event.create:c1jlopv7qb0fk.1:1','event.create','','dana@corp.example>ana@corp.example','c1jlopv7qb0fk','dana@corp.example','c1jlopv7qb0fk.1','',0,NULL,'done',NULL,1790583300,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(41,'contract_request:c1dtemorpvi1k:dana@corp.example:20260928.0.1','mail','contract_request','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','','dana@corp.example',0,1790583300,'done',NULL,1790583300,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(42,'contract_reminder:c1dtemorpvi1k:dana@corp.example:20260928.1.1','mail','contract_reminder','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','','dana@corp.example',1,1790583300,'done',NULL,1790665200,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(43,'brief:c1su18d5v9s3c:dana@corp.example:20260930.0.1','mail','brief','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','','dana@corp.example',0,1790751600,'done',NULL,1790665200,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(44,'contract_reminder:c1t502lik53mi:dana@corp.example:20260923.4.1','mail','contract_reminder','dana@corp.example>max@corp.example','c1t502lik53mi','','','dana@corp.example',4,1790151300,'done',NULL,1790668800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(45,'contract_reminder:c1dtemorpvi1k:dana@corp.example:20260928.2.1','mail','contract_reminder','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','','dana@corp.example',2,1790583300,'done',NULL,1790694000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(46,'contract_reminder:c1t502lik53mi:dana@corp.example:20260923.5.1','mail','contract_reminder','dana@corp.example>max@corp.example','c1t502lik53mi','','','dana@corp.example',5,1790151300,'done',NULL,1790755200,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(47,'event.create:cmb00btj8t5j.1:1','event.create','','dana@corp.example>sam@corp.example','cmb00btj8t5j','dana@corp.example','cmb00btj8t5j.1','',0,NULL,'done',NULL,1790756100,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(48,'contract_request:c1su18d5v9s3c:dana@corp.example:20260930.0.1','mail','contract_request','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','','dana@corp.example',0,1790756100,'done',NULL,1790756100,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(49,'contract_reminder:c1su18d5v9s3c:dana@corp.example:20260930.1.1','mail','contract_reminder','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','','dana@corp.example',1,1790756100,'done',NULL,1790838000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(50,'contract_reminder:c1dtemorpvi1k:dana@corp.example:20260928.3.1','mail','contract_reminder','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','','dana@corp.example',3,1790583300,'done',NULL,1790841600,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(51,'reflection_prompt:ccfr8pemnhhq:kim@corp.example:20261006.0.1','mail','reflection_prompt','dana@corp.example>kim@corp.example','ccfr8pemnhhq','','','kim@corp.example',0,1791273600,'done',NULL,1790841600,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(52,'event.create:r1ekd57eqsmuf.1:1','event.create','','dana@corp.example>max@corp.example','r1ekd57eqsmuf','dana@corp.example','r1ekd57eqsmuf.1','',0,NULL,'done',NULL,1790841600,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(53,'event.create:r18jfq5vsvesv.1:1','event.create','','dana@corp.example>max@corp.example','r18jfq5vsvesv','dana@corp.example','r18jfq5vsvesv.1','',0,NULL,'done',NULL,1790841600,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(54,'contract_reminder:c1su18d5v9s3c:dana@corp.example:20260930.2.1','mail','contract_reminder','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','','dana@corp.example',2,1790756100,'done',NULL,1790866800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(55,'contract_reminder:c1dtemorpvi1k:dana@corp.example:20260928.4.1','mail','contract_reminder','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','','dana@corp.example',4,1790583300,'done',NULL,1790928000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(56,'contract_summary:c1su18d5v9s3c:dana@corp.example:20260930.1.1','mail','contract_summary','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','','dana@corp.example',1,1790756100,'done',NULL,1791180000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(57,'contract_summary:c1su18d5v9s3c:sam@corp.example:20260930.1.1','mail','contract_summary','dana@corp.example>sam@corp.example','c1su18d5v9s3c','','','sam@corp.example',1,1790756100,'done',NULL,1791180000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(58,'contract_summary:ckvoil63g4gq:dana@corp.example:20260909.1.1','mail','contract_summary','dana@corp.example>lee@corp.example','ckvoil63g4gq','','','dana@corp.example',1,1788941700,'done',NULL,1791180000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(59,'contract_summary:ckvoil63g4gq:lee@corp.example:20260909.1.1','mail','contract_summary','dana@corp.example>lee@corp.example','ckvoil63g4gq','','','lee@corp.example',1,1788941700,'done',NULL,1791180000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(60,'event.create:pk7ui9hdtefj.1:1','event.create','','dana@corp.example>lee@corp.example','pk7ui9hdtefj','dana@corp.example','pk7ui9hdtefj.1','',0,NULL,'done',NULL,1791180000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(61,'event.create:rcfu9qs573uo.1:1','event.create','','dana@corp.example>sam@corp.example','rcfu9qs573uo','dana@corp.example','rcfu9qs573uo.1','',0,NULL,'done',NULL,1791180000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(62,'event.create:r1951g544cnuf.1:1','event.create','','dana@corp.example>sam@corp.example','r1951g544cnuf','dana@corp.example','r1951g544cnuf.1','',0,NULL,'done',NULL,1791180000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(63,'event.create:p1v5o61b7m691.1:1','event.create','','dana@corp.example>sam@corp.example','p1v5o61b7m691','dana@corp.example','p1v5o61b7m691.1','',0,NULL,'done',NULL,1791180000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(64,'brief:ccfr8pemnhhq:dana@corp.example:20261006.0.1','mail','brief','dana@corp.example>kim@corp.example','ccfr8pemnhhq','','','dana@corp.example',0,1791273600,'done',NULL,1791183600,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(65,'contract_reminder:c1dtemorpvi1k:dana@corp.example:20260928.5.1','mail','contract_reminder','dana@corp.example>ana@corp.example','c1dtemorpvi1k','','','dana@corp.example',5,1790583300,'done',NULL,1791187200,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(66,'event.update:c1i4r87e06hv2.1:2','event.update','','dana@corp.example>max@corp.example','c1i4r87e06hv2','dana@corp.example','c1i4r87e06hv2.1','',0,1798012800,'done',NULL,1791266400,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(67,'reflection_prompt:c1i4r87e06hv2:max@corp.example:20261008.0.1','mail','reflection_prompt','dana@corp.example>max@corp.example','c1i4r87e06hv2','','','max@corp.example',0,1791442800,'done',NULL,1791266400,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(68,'deferral_notice:c1i4r87e06hv2:dana@corp.example:20261008.1.1','mail','deferral_notice','dana@corp.example>max@corp.example','c1i4r87e06hv2','','','dana@corp.example',1,1791442800,'done',NULL,1791266400,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(69,'event.update:c1i4r87e06hv2.1:3','event.update','','dana@corp.example>max@corp.example','c1i4r87e06hv2','dana@corp.example','c1i4r87e06hv2.1','',0,1791442800,'done',NULL,1791270000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(70,'deferral_notice:c1i4r87e06hv2:dana@corp.example:20261008.2.1','mail','deferral_notice','dana@corp.example>max@corp.example','c1i4r87e06hv2','','','dana@corp.example',2,1791447300,'done',NULL,1791270000,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(71,'event.create:regu31at32vo.1:1','event.create','','dana@corp.example>ana@corp.example','regu31at32vo','dana@corp.example','regu31at32vo.1','',0,NULL,'done',NULL,1791273600,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(72,'event.create:rhq6a0h9ug4j.1:1','event.create','','dana@corp.example>ana@corp.example','rhq6a0h9ug4j','dana@corp.example','rhq6a0h9ug4j.1','',0,NULL,'done',NULL,1791273600,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(73,'review_note:rtp114vg0a2j:dana@corp.example:20261007.0.1','mail','review_note','dana@corp.example>lee@corp.example','rtp114vg0a2j','','','dana@corp.example',0,1791356400,'done',NULL,1791352800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(74,'brief:c1i4r87e06hv2:dana@corp.example:20261008.0.1','mail','brief','dana@corp.example>max@corp.example','c1i4r87e06hv2','','','dana@corp.example',0,1791447300,'done',NULL,1791356400,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(75,'event.create:c22lhvqjh2sk.1:1','event.create','','dana@corp.example>lee@corp.example','c22lhvqjh2sk','dana@corp.example','c22lhvqjh2sk.1','',0,NULL,'done',NULL,1791374400,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(76,'event.update:rcfu9qs573uo.1:2','event.update','','dana@corp.example>sam@corp.example','rcfu9qs573uo','dana@corp.example','rcfu9qs573uo.1','',0,1793174400,'done',NULL,1791374400,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(77,'deferral_notice:rcfu9qs573uo:dana@corp.example:20261012.1.1','mail','deferral_notice','dana@corp.example>sam@corp.example','rcfu9qs573uo','','','dana@corp.example',1,1791788400,'done',NULL,1791374400,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(78,'reflection_prompt:c22lhvqjh2sk:lee@corp.example:20261009.0.1','mail','reflection_prompt','dana@corp.example>lee@corp.example','c22lhvqjh2sk','','','lee@corp.example',0,1791529200,'done',NULL,1791374460,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(79,'event.update:c1cvj8hl0t6nb.1:2','event.update','','dana@corp.example>kim@corp.example','c1cvj8hl0t6nb','dana@corp.example','c1cvj8hl0t6nb.1','',0,1791878400,'done',NULL,1791437400,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(80,'reflection_prompt:c1cvj8hl0t6nb:kim@corp.example:20261012.0.1','mail','reflection_prompt','dana@corp.example>kim@corp.example','c1cvj8hl0t6nb','','','kim@corp.example',0,1791792000,'waiting',1791452133,1791437400,9,NULL,'The service can''t be reached or is out of order for now.','{}');
INSERT INTO "message" VALUES(81,'deferral_notice:c1cvj8hl0t6nb:dana@corp.example:20261012.1.1','mail','deferral_notice','dana@corp.example>kim@corp.example','c1cvj8hl0t6nb','','','dana@corp.example',1,1791792000,'waiting',1791452151,1791437400,9,NULL,'The service can''t be reached or is out of order for now.','{}');
INSERT INTO "message" VALUES(82,'operator_alert:reflection_prompt:c1cvj8hl0t6nb:kim@corp.example:20261012.0.1:waiting','mail','operator_alert','','operator','','','ops@corp.example',0,NULL,'waiting',1791454060,1791439345,9,NULL,'The service can''t be reached or is out of order for now.','{"words": "the mail reflection_prompt for dana@corp.example>kim@corp.example is waiting: The service can''t be reached or is out of order for now."}');
INSERT INTO "message" VALUES(83,'operator_alert:deferral_notice:c1cvj8hl0t6nb:dana@corp.example:20261012.1.1:waiting','mail','operator_alert','','operator','','','ops@corp.example',0,NULL,'waiting',1791454088,1791439355,9,NULL,'The service can''t be reached or is out of order for now.','{"words": "the mail deferral_notice for dana@corp.example>kim@corp.example is waiting: The service can''t be reached or is out of order for now."}');
INSERT INTO "message" VALUES(84,'brief:c22lhvqjh2sk:dana@corp.example:20261009.0.1','mail','brief','dana@corp.example>lee@corp.example','c22lhvqjh2sk','','','dana@corp.example',0,1791529200,'waiting',1791453852,1791442800,8,NULL,'The service can''t be reached or is out of order for now.','{}');
INSERT INTO "message" VALUES(85,'operator_alert:brief:c22lhvqjh2sk:dana@corp.example:20261009.0.1:waiting','mail','operator_alert','','operator','','','ops@corp.example',0,NULL,'waiting',1791452134,1791444705,7,NULL,'The service can''t be reached or is out of order for now.','{"words": "the mail brief for dana@corp.example>lee@corp.example is waiting: The service can''t be reached or is out of order for now."}');
INSERT INTO "message" VALUES(86,'event.create:cb6ofe95h0a8.1:1','event.create','','dana@corp.example>max@corp.example','cb6ofe95h0a8','dana@corp.example','cb6ofe95h0a8.1','',0,NULL,'done',NULL,1791451800,1,NULL,NULL,'{}');
INSERT INTO "message" VALUES(87,'contract_request:c1i4r87e06hv2:dana@corp.example:20261008.0.1','mail','contract_request','dana@corp.example>max@corp.example','c1i4r87e06hv2','','','dana@corp.example',0,1791451800,'waiting',1791451863,1791451800,1,NULL,'The service can''t be reached or is out of order for now.','{}');
CREATE TABLE pair (
	id VARCHAR NOT NULL, 
	manager VARCHAR NOT NULL, 
	report VARCHAR NOT NULL, 
	first_seen DATE NOT NULL, 
	start DATE, 
	weeks INTEGER NOT NULL, 
	months INTEGER NOT NULL, 
	minutes INTEGER NOT NULL, 
	format VARCHAR NOT NULL, 
	review VARCHAR NOT NULL, 
	transition_until DATE, 
	weekday INTEGER, 
	minute INTEGER, 
	trust BOOLEAN NOT NULL, 
	paused BOOLEAN NOT NULL, 
	rests BOOLEAN NOT NULL, 
	ended VARCHAR NOT NULL, 
	cycle INTEGER NOT NULL, 
	looked_at BIGINT, 
	due_at BIGINT, 
	wakes INTEGER NOT NULL, chosen JSON, 
	CONSTRAINT pk_pair PRIMARY KEY (id), 
	CONSTRAINT fk_pair_manager FOREIGN KEY(manager) REFERENCES person (email), 
	CONSTRAINT fk_pair_report FOREIGN KEY(report) REFERENCES person (email)
);
INSERT INTO "pair" VALUES('dana@corp.example>ana@corp.example','dana@corp.example','ana@corp.example','2026-09-07',NULL,13,0,75,'combined','alone',NULL,NULL,NULL,0,0,0,'',1,1791273600,1792472400,1,NULL);
INSERT INTO "pair" VALUES('dana@corp.example>kim@corp.example','dana@corp.example','kim@corp.example','2026-09-07',NULL,13,0,75,'series','alone',NULL,NULL,NULL,0,0,0,'',1,1791437400,1791522000,3,NULL);
INSERT INTO "pair" VALUES('dana@corp.example>lee@corp.example','dana@corp.example','lee@corp.example','2026-09-07','2026-03-02',8,0,75,'combined','alone',NULL,NULL,NULL,0,0,0,'',1,1791435600,1791478800,1,NULL);
INSERT INTO "pair" VALUES('dana@corp.example>max@corp.example','dana@corp.example','max@corp.example','2026-09-07',NULL,13,0,75,'combined','alone',NULL,NULL,NULL,0,0,0,'',2,1791451800,1791529200,5,NULL);
INSERT INTO "pair" VALUES('dana@corp.example>sam@corp.example','dana@corp.example','sam@corp.example','2026-09-07',NULL,13,0,75,'combined','alone',NULL,NULL,NULL,0,0,0,'',1,1791374400,1791522000,3,NULL);
CREATE TABLE person (
	email VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	zone VARCHAR NOT NULL, 
	country VARCHAR NOT NULL, 
	hours VARCHAR NOT NULL, 
	locale VARCHAR NOT NULL, 
	calendar VARCHAR NOT NULL, 
	mail VARCHAR NOT NULL, 
	left_at BIGINT, 
	holder VARCHAR, 
	held_until BIGINT, 
	suspended_until BIGINT, 
	CONSTRAINT pk_person PRIMARY KEY (email)
);
INSERT INTO "person" VALUES('ana@corp.example','Ana','Europe/Berlin','DE','Mon-Fri 09:00-17:00','en','memory','memory',NULL,NULL,NULL,NULL);
INSERT INTO "person" VALUES('dana@corp.example','Dana','Europe/Berlin','DE','Mon-Fri 09:00-17:00','en','memory','memory',NULL,NULL,NULL,NULL);
INSERT INTO "person" VALUES('kim@corp.example','Kim','Europe/London','GB','Mon-Fri 09:00-17:00','en','memory','memory',NULL,NULL,NULL,NULL);
INSERT INTO "person" VALUES('lee@corp.example','Lee','Europe/Berlin','DE','Mon-Fri 09:00-17:00','en','memory','memory',NULL,NULL,NULL,NULL);
INSERT INTO "person" VALUES('max@corp.example','Max','Europe/Berlin','DE','Mon-Fri 09:00-17:00','en','memory','memory',NULL,NULL,NULL,NULL);
INSERT INTO "person" VALUES('sam@corp.example','Sam','Europe/Berlin','DE','Mon-Fri 09:00-17:00','de','memory','memory',NULL,NULL,NULL,NULL);
CREATE TABLE revocation (
	person VARCHAR NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_revocation PRIMARY KEY (person)
);
CREATE TABLE session (
	id VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	topic VARCHAR NOT NULL, 
	cycle INTEGER NOT NULL, 
	adhoc BOOLEAN NOT NULL, 
	state VARCHAR NOT NULL, 
	closed BOOLEAN NOT NULL, 
	minutes INTEGER NOT NULL, 
	earliest BIGINT NOT NULL, 
	target BIGINT NOT NULL, 
	latest BIGINT NOT NULL, 
	start BIGINT, 
	"end" BIGINT, 
	generation INTEGER NOT NULL, 
	sequence INTEGER NOT NULL, 
	by_hand BOOLEAN NOT NULL, 
	urgent BOOLEAN NOT NULL, 
	count INTEGER NOT NULL, 
	deferred_at BIGINT, 
	warned_at BIGINT, 
	held_at BIGINT, 
	unplaceable VARCHAR, 
	options JSON NOT NULL, 
	sealed BLOB, 
	CONSTRAINT pk_session PRIMARY KEY (id), 
	CONSTRAINT fk_session_pair FOREIGN KEY(pair) REFERENCES pair (id)
);
INSERT INTO "session" VALUES('c1dtemorpvi1k','dana@corp.example>ana@corp.example','career','all',1,0,'unfinished',1,75,1790143200,1790596800,1791201600,1790578800,1790583300,1,1,0,0,0,NULL,NULL,1790583300,NULL,'[]',NULL);
INSERT INTO "session" VALUES('c1ifrv6oqm433','dana@corp.example>kim@corp.example','career','now',1,0,'held',1,75,1790143200,1790596800,1791201600,1790668800,1790673300,1,1,0,0,0,NULL,NULL,1790673300,NULL,'[]',NULL);
INSERT INTO "session" VALUES('ccfr8pemnhhq','dana@corp.example>kim@corp.example','career','direction',1,0,'held',1,75,1791237600,1791280800,1791928800,1791273600,1791278100,1,1,0,0,0,NULL,NULL,1791278100,NULL,'[]',NULL);
INSERT INTO "session" VALUES('c1cvj8hl0t6nb','dana@corp.example>kim@corp.example','career','gap',1,0,'booked',0,75,1791842400,1791885600,1792706400,1791792000,1791796500,1,2,0,0,1,1791437400,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "session" VALUES('ckvoil63g4gq','dana@corp.example>lee@corp.example','career','all',1,0,'contracted',1,75,1776081600,1777291200,1790575200,1788937200,1788941700,1,1,0,0,0,NULL,NULL,1788941700,NULL,'[]',NULL);
INSERT INTO "session" VALUES('c1t502lik53mi','dana@corp.example>max@corp.example','career','all',1,0,'unfinished',1,75,1790143200,1790596800,1791201600,1790146800,1790151300,1,1,0,0,0,NULL,NULL,1790151300,NULL,'[]',NULL);
INSERT INTO "session" VALUES('c1su18d5v9s3c','dana@corp.example>sam@corp.example','career','all',1,0,'contracted',1,75,1790143200,1790596800,1791201600,1790751600,1790756100,1,1,0,0,0,NULL,NULL,1790756100,NULL,'[]',NULL);
INSERT INTO "session" VALUES('c1ndu3n5ovh1i','dana@corp.example>lee@corp.example','career','all',2,0,'booked',0,75,1792584000,1793793600,1795406400,1793779200,1793783700,1,1,0,0,0,NULL,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "session" VALUES('rtp114vg0a2j','dana@corp.example>lee@corp.example','review','all',1,0,'held',1,25,1790942400,1791547200,1792411200,1791356400,1791357900,1,1,0,0,0,NULL,NULL,1791357900,NULL,'[]',NULL);
INSERT INTO "session" VALUES('c1i4r87e06hv2','dana@corp.example>max@corp.example','career','all',2,0,'held',0,75,1796817600,1798027200,1799841600,1791447300,1791451800,1,3,0,0,2,1791270000,NULL,1791451800,NULL,'[]',NULL);
INSERT INTO "session" VALUES('c1jlopv7qb0fk','dana@corp.example>ana@corp.example','career','all',2,0,'booked',0,75,1797249600,1798459200,1800273600,1798444800,1798449300,1,1,0,0,0,NULL,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "session" VALUES('cmb00btj8t5j','dana@corp.example>sam@corp.example','career','all',2,0,'booked',0,75,1797422400,1798632000,1800446400,1798617600,1798622100,1,1,0,0,0,NULL,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "session" VALUES('r1ekd57eqsmuf','dana@corp.example>max@corp.example','review','all',1,0,'booked',0,25,1792152000,1792756800,1793620800,1792566000,1792567500,1,1,0,0,0,NULL,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "session" VALUES('r18jfq5vsvesv','dana@corp.example>max@corp.example','review','all',1,0,'booked',0,25,1794830400,1795435200,1796299200,1795420800,1795422300,1,1,0,0,0,NULL,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "session" VALUES('rcfu9qs573uo','dana@corp.example>sam@corp.example','review','all',1,0,'booked',0,25,1792756800,1793361600,1794225600,1791788400,1791789900,1,2,0,0,1,1791374400,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "session" VALUES('r1951g544cnuf','dana@corp.example>sam@corp.example','review','all',1,0,'booked',0,25,1795435200,1796040000,1796904000,1796025600,1796027100,1,1,0,0,0,NULL,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "session" VALUES('regu31at32vo','dana@corp.example>ana@corp.example','review','all',1,0,'booked',0,25,1792584000,1793188800,1794052800,1793177100,1793178600,1,1,0,0,0,NULL,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "session" VALUES('rhq6a0h9ug4j','dana@corp.example>ana@corp.example','review','all',1,0,'booked',0,25,1795262400,1795867200,1796731200,1796028300,1796029800,1,1,0,0,0,NULL,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "session" VALUES('c22lhvqjh2sk','dana@corp.example>lee@corp.example','career','all',2,1,'booked',0,75,1791374400,1791374400,1792015200,1791529200,1791533700,1,1,0,0,0,NULL,NULL,NULL,NULL,'[]',X'6741414141414272444278494B535463684F7769314C4D6D6F696357664B665F78595137712D4431714C6B6B6F477744526338384F4274656D323233524E6977414E74466738597A6D5130496A70334B65393744584736646531316967664E4F354D6D734F564B574C687557597169723070786430762D5A325837665A59384B45335167437247487350685F2D77486838795A73694E4658545273514176373373337271506C696F6247644E6169496D545F61353277343D');
INSERT INTO "session" VALUES('cb6ofe95h0a8','dana@corp.example>max@corp.example','career','all',3,0,'booked',0,75,1798113600,1799323200,1801137600,1799222400,1799226900,1,1,0,0,0,NULL,NULL,NULL,NULL,'[]',NULL);
CREATE TABLE sketch (
	session VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	saved_at BIGINT NOT NULL, 
	sealed BLOB NOT NULL, 
	CONSTRAINT pk_sketch PRIMARY KEY (session), 
	CONSTRAINT fk_sketch_session FOREIGN KEY(session) REFERENCES session (id)
);
INSERT INTO "sketch" VALUES('c1dtemorpvi1k',1,1791273600,X'674141414141427244427849656E332D313375564D3539635F35386F38484732545556306E6D704D357346335570484C6F773558484B4C655F4B51537744673949675F6339664D5A694749783467766B417070796779356A645A5A72346A4870713355446376646A696F4735315F6C346D30425663595344505274553366647A624E356239396F454A523258');
CREATE INDEX ix_calendar_due_at ON calendar (due_at);
CREATE INDEX ix_event_calendar_end ON event (calendar, "end");
CREATE INDEX ix_event_pair_end ON event (pair, "end");
CREATE INDEX ix_event_subject ON event (subject);
CREATE INDEX ix_history_pair ON history (pair);
CREATE INDEX ix_history_session ON history (session);
CREATE INDEX ix_meeting_pair ON meeting (pair);
CREATE INDEX ix_message_calendar_due_at ON message (calendar, due_at);
CREATE INDEX ix_message_due_at ON message (due_at);
CREATE INDEX ix_message_subject ON message (subject);
CREATE INDEX ix_person_holder ON person (holder);
CREATE INDEX ix_person_suspended_until ON person (suspended_until);
CREATE INDEX ix_pair_due_at ON pair (due_at);
CREATE INDEX ix_pair_manager ON pair (manager);
CREATE INDEX ix_pair_report ON pair (report);
CREATE INDEX ix_session_pair_closed ON session (pair, closed, cycle);
CREATE INDEX ix_commitment_pair_standing ON commitment (pair, standing);
CREATE INDEX ix_commitment_session ON commitment (session);
CREATE INDEX ix_contract_pair ON contract (pair);
COMMIT;
