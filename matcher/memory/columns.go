package memory

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"nearside/matcher"
)

// columns are those that plugins see, by origin: fields of API.md 4, those of a
// location with its name before them. Tags, meta, positions, end times and the
// similarity of the top match are not among them.
var columns = [matcher.Origins]map[string]column{
	matcher.Faces: withCommon("face_id", map[string]column{
		"lists":       listsColumn,
		"event_id":    idField(faceEventID),
		"external_id": textField(textExternalID),
		"user_data":   textField(textUserData),
		"avatar":      textField(faceAvatar),
	}),
	matcher.Events: withCommon("event_id", map[string]column{
		"external_id":           textField(textExternalID),
		"user_data":             textField(textUserData),
		"source":                textField(eventSource),
		"handler_id":            idField(eventHandler),
		"stream_id":             idField(eventStream),
		"track_id":              textField(eventTrack),
		"face_id":               idField(eventFace),
		"emotion":               smallColumn(func(c *chunk) []matcher.Small { return c.events.emotion }),
		"mask":                  smallColumn(func(c *chunk) []matcher.Small { return c.events.mask }),
		"location.city":         textField(eventCity),
		"location.area":         textField(eventArea),
		"location.district":     textField(eventDistrict),
		"location.street":       textField(eventStreet),
		"location.house_number": textField(eventHouse),
		"top_match.object_id":   idField(eventTopObject),
		"top_match.external_id": textField(eventTopExternal),
	}),
	matcher.Attributes: withCommon("attribute_id", map[string]column{}),
}

// withCommon adds the columns of all origins; id is the name of the object's own.
func withCommon(id string, own map[string]column) map[string]column {
	own[id] = ownID
	own["account_id"] = accountColumn
	own["create_time"] = timeColumn(func(c *chunk) []matcher.Time { return c.times })
	own["age"] = smallColumn(func(c *chunk) []matcher.Small { return c.age })
	own["gender"] = smallColumn(func(c *chunk) []matcher.Small { return c.gender })
	own["ethnic_group"] = smallColumn(func(c *chunk) []matcher.Small { return c.ethnicGroup })
	return own
}

// columnOf returns the column of o called name.
func columnOf(o matcher.Origin, name string) (column, error) {
	c, ok := columns[o][name]
	if !ok {
		return c, fmt.Errorf("%q is not one of the columns %s", name, strings.Join(columnNames(o), ", "))
	}
	return c, nil
}

// Columns returns the names of all columns of the objects in s, in alphabetical
// order.
func (s *Selection) Columns() []string { return columnNames(s.origin) }

func columnNames(o matcher.Origin) []string { return slices.Sorted(maps.Keys(columns[o])) }
