package client

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// LogDirs returns the log directories of a broker with what lies in them of topics; nil is all. A directory
// that failed says so itself.
func (a *Admin) LogDirs(ctx context.Context, broker int32, topics []kmsg.DescribeLogDirsRequestTopic) ([]kmsg.DescribeLogDirsResponseDir, error) {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Topics = topics
	answer, err := a.CallBroker(ctx, "describeLogDirs", broker, req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.DescribeLogDirsResponse)
	if len(resp.Dirs) > 0 {
		return resp.Dirs, nil
	}
	if err := throwable.FromCode(resp.ErrorCode, nil); err != nil {
		return nil, err
	}
	// Brokers before 3.2 say that they are not allowed to by having no directories.
	return nil, throwable.FromCode(kerr.ClusterAuthorizationFailed.Code, nil)
}
