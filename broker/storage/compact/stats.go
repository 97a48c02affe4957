package compact

// Stats count what a cleaning has done (CleanerStats). Those of the index pass and of the filter pass are
// added up in one.
type Stats struct {
	IndexRecords int64 // read by the index pass
	IndexBytes   int64
	Records      int64 // read by the filter pass; of batches dropped whole, none
	Bytes        int64
	KeptRecords  int64 // written again
	KeptBytes    int64
	NoKey        int64 // records without a key, which were dropped
}
