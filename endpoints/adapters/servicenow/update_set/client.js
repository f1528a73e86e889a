var OneioClient = Class.create();
OneioClient.prototype = {
    REST_MESSAGE: 'oneio',
    JOURNAL_MINUTES: 15,
    LEFT_OUT: { journal: true, journal_input: true, journal_list: true, password: true, password2: true },

    initialize: function () {
        this.user = gs.getProperty('oneio.integration_user', 'oneio');
    },

    // Sends a record to oneio. What oneio writes itself is not sent back.
    postTicket: function (current) {
        if (gs.getUserName() == this.user) {
            return;
        }
        var where = String(current.getTableName()) + ' ' + String(current.getUniqueValue());
        try {
            var body = this._ticket(current);
            var newest = body.comments.length ? body.comments[body.comments.length - 1].sys_id : '';
            var key = [body.entity_type, body.sys_id, body.operation, body.sys_mod_count, newest].join(':');
            var request = this._request('Post ticket', 'application/json', key);
            request.setRequestBody(JSON.stringify(body));
            request.executeAsync();
        } catch (problem) {
            gs.error('oneio: ' + where + ' was not sent: ' + problem);
        }
    },

    // Sends a file if a rule of ours sends its ticket. To be called where waiting bothers nobody.
    postFile: function (attachment) {
        if (String(attachment.getValue('sys_created_by')) == this.user) {
            return;
        }
        var table = this._text(attachment.getValue('table_name'));
        var ticket = new GlideRecord(table);
        if (!ticket.isValid() || !ticket.get(this._text(attachment.getValue('table_sys_id')))) {
            return;
        }
        if (!this._takesPart(table, ticket)) {
            return;
        }
        var file = String(attachment.getUniqueValue());
        try {
            var request = this._request('Post file', this._text(attachment.getValue('content_type')), file);
            request.setQueryParameter('entity_type', table);
            request.setQueryParameter('external_id', String(ticket.getUniqueValue()));
            request.setQueryParameter('file_name', this._text(attachment.getValue('file_name')));
            request.setQueryParameter('size', this._text(attachment.getValue('size_bytes')));
            request.setRequestBodyFromAttachment(file);
            var status = request.execute().getStatusCode();
            if (status != 202) {
                gs.error('oneio: file ' + file + ' was not taken in: HTTP ' + status);
            }
        } catch (problem) {
            gs.error('oneio: file ' + file + ' was not sent: ' + problem);
        }
    },

    _request: function (method, type, key) {
        var request = new sn_ws.RESTMessageV2(this.REST_MESSAGE, method);
        request.setRequestHeader('Content-Type', type);
        request.setRequestHeader('Idempotency-Key', key);
        return request;
    },

    _ticket: function (current) {
        var seen = this._fields(current);
        return {
            entity_type: String(current.getTableName()),
            operation: String(current.operation()),
            instance: this._text(gs.getProperty('instance_name')),
            sys_id: String(current.getUniqueValue()),
            number: this._text(current.getValue('number')),
            correlation_id: this._text(current.getValue('correlation_id')),
            correlation_display: this._text(current.getValue('correlation_display')),
            sys_updated_by: this._text(current.getValue('sys_updated_by')),
            sys_updated_on: this._text(current.getValue('sys_updated_on')),
            sys_mod_count: this._text(current.getValue('sys_mod_count')),
            record: seen.record,
            changes: seen.changes,
            comments: this._comments(String(current.getUniqueValue()))
        };
    },

    _fields: function (current) {
        var record = {};
        var changes = [];
        for (var name in current) {
            if (!current.isValidField(name)) {
                continue;
            }
            var element = current.getElement(name);
            if (this.LEFT_OUT[String(element.getED().getInternalType())]) {
                continue;
            }
            record[name] = {
                value: this._text(current.getValue(name)),
                display_value: this._text(current.getDisplayValue(name))
            };
            if (element.changes()) {
                changes.push(String(name));
            }
        }
        return { record: record, changes: changes };
    },

    // Some older entries go along on purpose: a comment whose post failed is caught up by the next one, and
    // oneio knows by its sys_id which entries it has.
    _comments: function (sysId) {
        var found = [];
        var since = new GlideDateTime();
        since.addSeconds(-60 * this.JOURNAL_MINUTES);
        var entry = new GlideRecord('sys_journal_field');
        entry.addQuery('element_id', sysId);
        entry.addQuery('element', 'IN', 'comments,work_notes');
        entry.addQuery('sys_created_on', '>=', since.getValue());
        entry.addQuery('sys_created_by', '!=', this.user);
        entry.orderBy('sys_created_on');
        entry.query();
        while (entry.next()) {
            found.push({
                sys_id: String(entry.getUniqueValue()),
                element: this._text(entry.getValue('element')),
                value: this._text(entry.getValue('value')),
                sys_created_by: this._text(entry.getValue('sys_created_by')),
                sys_created_on: this._text(entry.getValue('sys_created_on'))
            });
        }
        return found;
    },

    // Which tickets take part is said once: by the filter of the active business rules that post them.
    _takesPart: function (table, ticket) {
        var rule = new GlideRecord('sys_script');
        rule.addQuery('active', true);
        rule.addQuery('collection', table);
        rule.addQuery('script', 'CONTAINS', 'OneioClient().postTicket');
        rule.query();
        while (rule.next()) {
            var filter = this._text(rule.getValue('filter_condition'));
            if (!filter || GlideFilter.checkRecord(ticket, filter)) {
                return true;
            }
        }
        return false;
    },

    _text: function (value) {
        return value === null || value === undefined ? '' : String(value);
    },

    type: 'OneioClient'
};
