package mysql

import "context"

func (s *Source) checkServer(context.Context, *session, server) error { return nil }

func (s *Source) resolveRemedy() string { return "resolve" }
