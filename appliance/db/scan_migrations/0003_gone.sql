-- What a layer takes from those below it, apart from its contents: whiteouts and emptied folders, as MessagePack. NULL
-- for a layer that was read before: then its contents tell.
ALTER TABLE layers ADD COLUMN gone BLOB;
