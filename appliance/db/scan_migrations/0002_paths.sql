-- Files by their whole path, and all below a folder.
CREATE INDEX files_by_folder ON files (folder_id, name_id, layer_id);
