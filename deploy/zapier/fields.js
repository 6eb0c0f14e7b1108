/** A model's JSON Schema, as `/v1/models` gives it, as Zapier's input fields. */
'use strict';

const label = (name) =>
  name.split('_').map((word) => word[0].toUpperCase() + word.slice(1)).join(' ');

const range = ({ minimum, maximum, maxItems, maxLength }) => {
  if (minimum !== undefined) return `From ${minimum} to ${maximum}.`;
  if (maxItems !== undefined) return `At most ${maxItems}.`;
  return maxLength === undefined ? '' : `At most ${maxLength} characters.`;
};

const type = (property) => {
  if (['integer', 'number', 'boolean'].includes(property.type)) return property.type;
  return property.maxLength ? 'text' : 'string';
};

const field = (name, property, required) => ({
  key: name,
  label: label(name),
  type: type(property),
  required,
  helpText: [property.description, range(property)].filter(Boolean).join(' '),
  ...(property.type === 'array' && { list: true }),
  // Zapier takes choices and defaults as text, whatever the type.
  ...(property.enum && { choices: property.enum.map(String) }),
  ...(property.default !== undefined && { default: String(property.default) }),
});

/** One field for each property, in the model's own order. */
const fieldsOf = (schema) =>
  Object.entries(schema.properties).map(([name, property]) =>
    field(name, property, schema.required.includes(name)),
  );

module.exports = { fieldsOf };
