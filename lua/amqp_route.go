package lua

import (
	"reflect"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// binds reports whether an exchange of that type hands a message to a queue
// that is bound to it. An unknown type might.
func (b binding) binds(exchangeType, key string, headers amqp.Table) bool {
	switch exchangeType {
	case "direct":
		return b.key == key
	case "topic":
		return topicMatches(strings.Split(b.key, "."), strings.Split(key, "."))
	case "headers":
		return headersMatch(b.arguments, headers)
	default: // fanout
		return true
	}
}

// topicMatches: * stands for one word, # for any number of words.
func topicMatches(pattern, words []string) bool {
	switch {
	case len(pattern) == 0:
		return len(words) == 0
	case pattern[0] == "#":
		return topicMatches(pattern[1:], words) || len(words) > 0 && topicMatches(pattern, words[1:])
	case len(words) == 0:
		return false
	}
	return (pattern[0] == "*" || pattern[0] == words[0]) && topicMatches(pattern[1:], words[1:])
}

// headersMatch compares headers with the arguments of a binding. x-match says
// whether all (the default) or any of them have to be equal; names that begin
// with x- count only for all-with-x and any-with-x.
func headersMatch(arguments, headers amqp.Table) bool {
	mode, _ := arguments["x-match"].(string)
	mode, withX := strings.CutSuffix(mode, "-with-x")
	anyOne := mode == "any"
	for name, want := range arguments {
		if name == "x-match" || !withX && strings.HasPrefix(name, "x-") {
			continue
		}
		if got, ok := headers[name]; ok && reflect.DeepEqual(got, want) == anyOne {
			return anyOne
		} else if !ok && !anyOne {
			return false
		}
	}
	return !anyOne
}
