package matcher

import "context"

type textRoomKey struct{}

// WithTextRoom returns a context for a request. [ReserveText] then calls reserve
// before texts and descriptors are copied for the answer of this request. Several
// goroutines may call reserve at once.
func WithTextRoom(ctx context.Context, reserve func(bytes int) error) context.Context {
	return context.WithValue(ctx, textRoomKey{}, reserve)
}

// ReserveText is called before texts and descriptors of stored objects are copied
// for the answer of the request of ctx. It waits until there is memory for that
// many bytes. It returns an error if the answer would be too large, or if ctx
// ends first. Without WithTextRoom there is no bound.
func ReserveText(ctx context.Context, bytes int) error {
	if reserve, ok := ctx.Value(textRoomKey{}).(func(int) error); ok && bytes > 0 {
		return reserve(bytes)
	}
	return nil
}
