package ingest

import "github.com/headwater-live/headwater/remux/flvtag"

// Metadata returns what an encoder says of itself in the body of a data message; nil for what is no onMetaData.
func Metadata(body []byte) ([]flvtag.Property, error) { return metadata(body) }
