// Package fanout measures what it costs to send one stream to many viewers, beside the least
// that it can cost on the same machine in the same minute.
//
//	publisher ──RTMP──▶ headwater serve ──▶ 300 viewers, one epoll loop
//	the same messages ─▶ one thread that only writes ──▶ 300 viewers, the same loop
//
// The second line is the limit: no parsing, no choice, no reading, one system call after the
// other with the bytes that the interval brought. Both run as processes of their own, and what
// counts is their processor time for each gigabyte delivered.
//
// go test -run '^$' -bench . ./e2e/fanout measures. A test shows what happens when there is too little
// processor: each write carries more. BenchmarkOverload shows that a gigabyte costs less then.
package fanout
